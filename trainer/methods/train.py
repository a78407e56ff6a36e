"""Runs a method: from a float network to a compressed one, in a given number of epochs."""

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from itertools import islice

import torch
from torch import Tensor, nn

from lamella.errors import UsageError
from lamella.trainer.batches import inputs_for_calibration
from lamella.trainer.fit import Log, Progress, float_accuracy
from lamella.trainer.frozen import freeze
from lamella.trainer.layerwise import CompressResult, compress
from lamella.trainer.methods.method import Method
from lamella.trainer.names import closest
from lamella.trainer.network import QuantNetwork
from lamella.trainer.options import CompressOptions
from lamella.trainer.place import CPU, Place
from lamella.trainer.prune import prune_, sparsity_schedule
from lamella.trainer.rules.float32 import Float32
from lamella.trainer.rules.int8 import Int8
from lamella.trainer.run import Run
from lamella.trainer.saliency import saliency_of
from lamella.trainer.trace import trace

#: A method that prunes spends so much of its epochs on raising the threshold.
PRUNING_SHARE = 0.5
#: A first or last layer with more than this share of all weights is not kept.
LARGEST_KEPT_END = 0.1
#: Layer-wise compression spends so much of its epochs after pruning.
LAYERWISE_PRUNING_SHARE = 0.25


def train(
    method: Method,
    model: nn.Module,
    train_data: Iterable,
    validation_data: Iterable,
    options: CompressOptions,
    epochs: int,
    *,
    name: str | None = None,
    progress: Callable[[str], Progress | None] = lambda phase: None,
    place: Place = CPU,
    log: Log | None = None,
) -> CompressResult:
    """The network that a method makes of a trained float network in so many epochs; the model stays as it is.

    train_data: as for lamella.trainer.compress, of a known number of batches. options: descent, distillation, `sparsity`
    of methods that prune, `keep` (names of the model's layers, which stay int8) and calibration; for layer-wise
    compression all of them but the epochs.
    """
    name = name or type(model).__name__.lower()
    if method.rule is None:
        return _layerwise(model, train_data, validation_data, options, epochs, name, progress, place, log)
    example = inputs_for_calibration(train_data, 1)[0][:2]
    known = compressible_weights(model, example)
    for kept in options.keep:
        if kept not in known:
            raise UsageError(f"keep: there is no layer {kept!r}{closest(kept, known)}")
    prepared = model if method.prepare is None else method.prepare(model, example)
    bare = replace(options, keep=())  # a prepared network has other layers
    run = Run(prepared, train_data, validation_data, bare, progress, lambda state: None, place, log)
    run.float_accuracy = float_accuracy(model, run.validation, "validation")
    if run.teacher is not None:
        run.teacher = copy.deepcopy(model).eval()  # the prepared network is no teacher
    compressed = compressed_layers(method, run, options.keep)
    spent = _prune(method, run, compressed, epochs) if method.saliency is not None else 0
    for layer_name, layer in run.network.layers.items():
        layer.set_rule_(method.rule if layer_name in compressed else Int8())
    run.network.calibrate_(run.inputs)
    run.train(method.name, epochs - spent)
    frozen = freeze(run.network, name)
    return CompressResult(run.network, frozen, options, [], run.float_accuracy, run.validate(), run.epochs)


def compressible_weights(model: nn.Module, example: Tensor) -> dict[str, int]:
    """How many weights each layer of a float network has that compression may touch, recurrent ones included."""
    network = QuantNetwork(trace(model, example), model, learned_ranges=False)
    return {name: network.layers[name].weight.numel() for name in network.compressible}


def compressed_layers(method: Method, run: Run, keep: Iterable[str]) -> list[str]:
    """The layers that a method's rule goes to: without `keep` and, if it keeps the ends, without first and last.

    An end that holds a good part of all weights is compressed all the same: there would be little left to compare.
    """
    names = list(run.network.compressible)
    kept = {name for name in names for k in keep if name == k or name.startswith(f"{k}_")}
    if method.keeps_ends:
        sizes = {name: run.network.layers[name].weight.numel() for name in names}
        kept |= {name for name in (names[0], names[-1]) if sizes[name] <= LARGEST_KEPT_END * sum(sizes.values())}
    return [name for name in names if name not in kept]


def _prune(method: Method, run: Run, names: list[str], epochs: int) -> int:
    """Raises the threshold to the sparsity asked for, an epoch at a time; returns the epochs spent."""
    spent = int(PRUNING_SHARE * epochs)
    saliency = saliency_of(method.saliency)
    for name in names:
        run.network.layers[name].set_rule_(Float32(masked=True))

    def tighten(sparsity: float) -> None:
        prune_(run.network, sparsity, saliency(run.network, run.inputs))

    schedule = sparsity_schedule(run.options.sparsity, max(1, spent))
    if spent:
        run.train("prune", spent, lambda epoch: tighten(schedule[epoch]))
    else:
        tighten(schedule[-1])
    for name in names:
        with torch.no_grad():
            run.network.layers[name].weight.mul_(run.network.layers[name].mask)
    return spent


class Parts:
    """Training batches with each epoch cut in parts, which are epochs of their own: layers share what there is."""

    def __init__(self, data: Iterable, parts: int):
        self._data, self._parts, self._part = data, parts, 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses epoch // parts of the data, and of it the part epoch % parts."""
        self._part = epoch % self._parts
        if hasattr(self._data, "set_epoch"):
            self._data.set_epoch(epoch // self._parts)

    def __len__(self) -> int:
        return len(range(self._part, len(self._data), self._parts))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return islice(iter(self._data), self._part, None, self._parts)


def _layerwise(
    model, train_data, validation_data, options, epochs: int, name: str, progress, place, log
) -> CompressResult:
    """Layer-wise compression in as many epochs as any other method, divided between its phases."""
    example = inputs_for_calibration(train_data, 1)[0][:2]
    layers = len(compressible_weights(model, example)) - len(options.keep)
    parts = max(1, min(4 * layers, len(train_data)))
    pruning = round(LAYERWISE_PRUNING_SHARE * epochs * parts)
    each = (epochs * parts - pruning) // max(1, layers)
    # An epoch of pruning raises the threshold once; parts of it do the same.
    divided = {
        "prune_epochs": pruning,
        "prune_steps": max(1, min(options.prune_steps, pruning)),
        "layer_epochs": each,
        "final_epochs": 0,
        "final_data": "train",
    }
    result = compress(
        model,
        Parts(train_data, parts),
        validation_data,
        name=name,
        progress=progress,
        place=place,
        log=log,
        **asdict(replace(options, **divided)),
    )
    result.epochs = -(-result.epochs // parts)
    return result
