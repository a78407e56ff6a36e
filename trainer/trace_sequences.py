"""What torch.fx shows of recurrent layers and of axes of sequences, as nodes."""

import operator

import torch
from torch import fx, nn

from lamella.trainer.graph import Node, TransposeNode
from lamella.trainer.recurrent import LastNode, RecurrentNode
from lamella.trainer.simplify import SameNode

RECURRENT = (nn.GRU, nn.LSTM)


def from_module(module: nn.Module, step: fx.Node, base: dict) -> Node | None:
    """A GRU or LSTM that starts from zero; None for what is not supported."""
    sequence = step.meta["tensor_meta"][0]
    plain = module.batch_first and not module.bidirectional and not module.proj_size
    if not plain or len(step.all_input_nodes) != 1 or len(sequence.shape) != 3:
        return None
    kind = type(module).__name__.lower()
    more = {"path": str(step.target), "kind": kind, "layers": module.num_layers, "dropout": float(module.dropout)}
    return RecurrentNode(**base | {"shape": tuple(sequence.shape[1:])}, **more)


def from_function(step: fx.Node, base: dict, modules: dict[str, nn.Module]) -> Node | None:
    """Parts of what a recurrent layer gives, the last step, and the exchange of length and channels."""
    target, args = step.target, step.args
    if target is operator.getitem:
        return _item(args[0], args[1], base, modules)
    if target in (torch.squeeze, "squeeze"):  # the state of one layer, without the axis of layers
        layer = _part(args[0], modules)[1]
        return SameNode(**base) if layer is not None and layer.num_layers == 1 and args[1:] == (0,) else None
    if len(base["shape"]) != 2:
        return None
    if target in (torch.transpose, "transpose", "swapaxes"):
        axes = sorted(axis % 3 for axis in (*args[1:], *step.kwargs.values()))
        return TransposeNode(**base) if axes == [1, 2] else None
    if target in (torch.permute, "permute"):
        axes = args[1:] if len(args) > 2 else args[1] if len(args) == 2 else step.kwargs["dims"]
        return TransposeNode(**base) if [axis % 3 for axis in axes] == [0, 2, 1] else None
    return None


def _item(of: fx.Node, index: object, base: dict, modules: dict[str, nn.Module]) -> Node | None:
    part, layer = _part(of, modules)
    if part == "all":  # (sequence, what is left behind): the sequence, or its last step
        return SameNode(**base) if index == 0 else LastNode(**base)
    if part == "states":
        return SameNode(**base) if index == 0 else None
    if part == "state":
        return SameNode(**base) if index in (-1, layer.num_layers - 1) else None
    parts = index if isinstance(index, tuple) else (index,)
    whole = slice(None)
    last = len(parts) in (2, 3) and parts[0] == whole and parts[1] == -1 and parts[2:] in ((), (whole,))
    return LastNode(**base) if last else None


def _part(step: object, modules: dict[str, nn.Module]) -> tuple[str, nn.Module | None]:
    """What a step is of which recurrent layer: "all" that it gives, the pair of "states" of an LSTM, or the "state" h of
    all its layers; ("", None) for anything else."""
    if not isinstance(step, fx.Node):
        return "", None
    if step.op == "call_module" and isinstance(modules[step.target], RECURRENT):
        return "all", modules[step.target]
    if step.target is operator.getitem:
        part, layer = _part(step.args[0], modules)
        if part == "all" and step.args[1] == 1:
            return ("states" if isinstance(layer, nn.LSTM) else "state"), layer
        if part == "states" and step.args[1] == 0:
            return "state", layer
    return "", None
