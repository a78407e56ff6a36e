"""From any nn.Module to a Graph, by torch.fx."""

import math
from contextlib import redirect_stderr
from io import StringIO

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from lamella.errors import UnsupportedError
from lamella.trainer import trace_functions, trace_pooling, trace_sequences
from lamella.trainer.graph import (
    Clip,
    ClipNode,
    ConcatNode,
    DropoutNode,
    FlattenNode,
    Graph,
    InputNode,
    LayerNode,
    Node,
    SoftmaxNode,
)
from lamella.trainer.simplify import NormNode, SameNode, simplify

SUPPORTED = (
    "Conv1d, Conv2d, Linear, GRU and LSTM (batch first, one direction, from zero), BatchNorm, ReLU, ReLU6, Hardtanh, "
    "LeakyReLU, ELU, GELU, SiLU, Softplus, Hardswish, Hardsigmoid, Sigmoid, Tanh, MaxPool, AvgPool, AdaptiveAvgPool to one value, flatten, transpose of length and channels, +, -, *, / by a number, cat, "
    "Dropout and a final Softmax or LogSoftmax"
)


def trace(model: nn.Module, example: torch.Tensor) -> Graph:
    """Graph of a model; `example` is a small batch of inputs, whose first axis is the batch."""
    title = type(model).__name__
    was_training = model.training
    model.eval()
    shapes = None
    try:
        traced = fx.symbolic_trace(model)
        shapes = _Shapes(traced)
        with torch.no_grad():
            shapes.propagate(example)
        traced.graph.eliminate_dead_code()  # such as the last state that a recurrent layer gives too
    except Exception as error:  # fx and a model's forward raise whatever they like
        where = "torch.fx cannot follow its forward" if shapes is None else f"{shapes.at} fails"
        while error.__cause__ is not None:  # fx wraps what the step said
            error = error.__cause__
        said = str(error).partition("\n")[0] or type(error).__name__
        raise UnsupportedError(
            f"{title}: {where} on an input of shape {tuple(example.shape)}: {said}; write forward without branches on "
            f"values, check the shapes, and use supported layers only: {SUPPORTED}"
        ) from error
    finally:
        model.train(was_training)
    output = next(step for step in traced.graph.nodes if step.op == "output").args[0]
    if not isinstance(output, fx.Node):
        raise UnsupportedError(f"{title}: gives more than one output; return one tensor")
    _check_single_use(traced.graph, title)
    modules = dict(traced.named_modules())
    log_scores = _is_log_softmax(output, modules)
    if log_scores:
        output = output.args[0]
    steps = (
        step
        for step in traced.graph.nodes
        if not (log_scores and output in step.all_input_nodes and step.op != "output")
    )
    nodes = [node for step in steps if (node := _convert(step, modules, title)) is not None]
    return _checked(Graph(simplify(nodes, _name(output, modules)), log_scores), title)


def _is_log_softmax(step: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether a step, the last one, is a LogSoftmax over the classes that takes what nothing else takes."""
    if len(step.meta["tensor_meta"].shape) != 2 or not step.args or not isinstance(step.args[0], fx.Node):
        return False
    if step.op == "call_module":
        module = modules[step.target]
        found, axis = isinstance(module, nn.LogSoftmax), getattr(module, "dim", None)
    else:
        found = step.target in (F.log_softmax, torch.log_softmax, "log_softmax")
        axis = _argument(step.args, step.kwargs, 1, "dim", None)
    return found and axis in (1, -1) and len(step.args[0].users) == 1


class _Shapes(ShapeProp):
    """Runs every step once, and knows which one it is at."""

    at = ""

    def run_node(self, n: fx.Node) -> object:
        self.at = _described(n, dict(self.module.named_modules()))
        with redirect_stderr(StringIO()):  # where ShapeProp prints a traceback
            return super().run_node(n)


def _described(step: fx.Node, modules: dict[str, nn.Module]) -> str:
    """How a message calls a step."""
    if step.op == "call_module":
        return f"layer {step.target} ({type(modules[step.target]).__name__})"
    return f"operation {step.name} ({getattr(step.target, '__name__', step.target)})"


def _convert(step: fx.Node, modules: dict[str, nn.Module], title: str) -> Node | None:
    """The node of one fx step; None for steps that compute shapes only, and for the output."""
    if step.op == "output" or _is_shape_only(step):
        return None
    shape = tuple(getattr(step.meta.get("tensor_meta"), "shape", ())[1:])
    if step.op == "placeholder":
        return InputNode(name=_name(step, modules), inputs=(), shape=shape)
    inputs = tuple(_name(a, modules) for a in step.all_input_nodes if not _is_shape_only(a))
    base = {"name": _name(step, modules), "inputs": inputs, "shape": shape}
    if step.op == "call_module":
        module = modules[step.target]
        recurrent = isinstance(module, trace_sequences.RECURRENT)
        find = trace_sequences.from_module if recurrent else _from_module
        node = find(module, step, base)
    else:
        node = _from_function(step, modules, base) or trace_sequences.from_function(step, base, modules)
    if node is None:
        what = _described(step, modules)
        raise UnsupportedError(
            f"{title}: {what} is not supported in this form, neither compressed nor in int8; replace it by supported "
            f"ones: {SUPPORTED}"
        )
    return node


def _name(step: fx.Node, modules: dict[str, nn.Module]) -> str:
    """fx's name, an identifier and unique; unnamed members of a Sequential get their type in front."""
    if step.op == "placeholder":
        return str(step.target)
    if step.op == "call_module" and step.name.startswith("_"):
        return type(modules[step.target]).__name__.lower() + step.name
    return step.name


def _from_module(module: nn.Module, step: fx.Node, base: dict) -> Node | None:
    path = str(step.target)
    match module:
        case nn.Conv1d() | nn.Conv2d() if module.padding_mode == "zeros":
            return LayerNode(
                **base,
                path=path,
                kernel=module.kernel_size,
                stride=module.stride,
                dilation=module.dilation,
                pads=_conv_pads(module),
                groups=module.groups,
            )
        case nn.Linear():
            return LayerNode(**base, path=path) if len(base["shape"]) == 1 else None
        case nn.BatchNorm2d() | nn.BatchNorm1d() if module.track_running_stats:
            return NormNode(**base, path=path)
        case nn.ReLU():
            return ClipNode(**base | {"clip": Clip(0.0, None)})
        case nn.Hardtanh():  # and ReLU6, its subclass
            return ClipNode(**base | {"clip": Clip(float(module.min_val), float(module.max_val))})
        case nn.MaxPool1d() | nn.MaxPool2d() if not module.ceil_mode and not module.return_indices:
            return trace_pooling.max_pool(base, module.kernel_size, module.stride, module.padding, module.dilation)
        case nn.AvgPool1d() | nn.AvgPool2d() if not module.ceil_mode and not getattr(module, "divisor_override", None):
            return trace_pooling.average_pool(
                base, module.kernel_size, module.stride, module.padding, module.count_include_pad
            )
        case nn.AdaptiveAvgPool1d() | nn.AdaptiveAvgPool2d():
            return trace_pooling.adaptive_pool(base, module.output_size)
        case nn.Flatten() if module.start_dim == 1 and module.end_dim in (-1, len(base["shape"])):
            return FlattenNode(**base)
        case nn.Dropout():
            return DropoutNode(**base, probability=module.p)
        case nn.Identity():
            return SameNode(**base)
        case nn.Softmax() if module.dim in (1, -1) and len(base["shape"]) == 1:
            return SoftmaxNode(**base)
    return trace_functions.from_module(module, base)


def _from_function(step: fx.Node, modules: dict[str, nn.Module], base: dict) -> Node | None:
    if step.op == "get_attr":  # a tensor of the module itself
        return None
    target = step.target
    args, kwargs = step.args, step.kwargs
    if target in (F.relu, torch.relu, torch.relu_, "relu", "relu_"):
        return ClipNode(**base | {"clip": Clip(0.0, None)})
    if target is F.relu6:
        return ClipNode(**base | {"clip": Clip(0.0, 6.0)})
    if target in (F.hardtanh, torch.clamp, torch.clip, "clamp", "clip", "clamp_"):
        low_key, high_key = ("min_val", "max_val") if target is F.hardtanh else ("min", "max")
        default = (-1.0, 1.0) if target is F.hardtanh else (None, None)
        low = _argument(args, kwargs, 1, low_key, default[0])
        high = _argument(args, kwargs, 2, high_key, default[1])
        if any(isinstance(bound, fx.Node) for bound in (low, high)):
            return None
        return ClipNode(**base | {"clip": Clip(*(None if bound is None else float(bound) for bound in (low, high)))})
    if target in trace_functions.CALLS:
        return trace_functions.from_call(step, base)
    if target in (F.max_pool2d, torch.max_pool2d, F.max_pool1d, torch.max_pool1d):
        names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
        kernel, stride, padding, dilation, ceil = _arguments(args, kwargs, names, (None, None, 0, 1, False))
        return None if ceil else trace_pooling.max_pool(base, kernel, stride, padding, dilation)
    if target in (F.avg_pool2d, F.avg_pool1d, torch.avg_pool1d):
        names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
        kernel, stride, padding, ceil, count, divisor = _arguments(
            args, kwargs, names, (None, None, 0, False, True, None)
        )
        return None if ceil or divisor is not None else trace_pooling.average_pool(base, kernel, stride, padding, count)
    if target in (F.adaptive_avg_pool2d, F.adaptive_avg_pool1d, torch.adaptive_avg_pool1d):
        return trace_pooling.adaptive_pool(base, _argument(args, kwargs, 1, "output_size", None))
    if target in (torch.mean, "mean"):
        axes, rank = _argument(args, kwargs, 1, "dim", None), len(_input_shape(step)) - 1
        return trace_pooling.mean(base, axes, rank)
    if target in (torch.flatten, "flatten"):
        start, end = _arguments(args, kwargs, ("start_dim", "end_dim"), (0, -1))
        return FlattenNode(**base) if start == 1 and end in (-1, len(_input_shape(step))) else None
    if target in ("view", "reshape", torch.reshape):
        # Which numbers forward gave does not matter as long as the result is one row per sample.
        return (
            FlattenNode(**base)
            if len(base["shape"]) == 1 and base["shape"][0] == math.prod(_input_shape(step))
            else None
        )
    if target in trace_functions.ARITHMETIC:
        return trace_functions.arithmetic(step, base, lambda operand: _name(operand, modules))
    if target in (torch.cat, torch.concat):
        parts, axis = args[0] if args else kwargs["tensors"], _argument(args, kwargs, 1, "dim", 0)
        return (
            ConcatNode(**base | {"inputs": tuple(_name(p, modules) for p in parts)})
            if axis in (1, -len(base["shape"]))
            else None
        )
    if target is F.dropout:
        # Traced in eval mode: training=self.training was recorded as False, so only its probability is of use.
        return DropoutNode(**base, probability=float(_argument(args, kwargs, 1, "p", 0.5)))
    if target in (torch.softmax, F.softmax, "softmax"):
        return (
            SoftmaxNode(**base)
            if _argument(args, kwargs, 1, "dim", None) in (1, -1) and len(base["shape"]) == 1
            else None
        )
    if target == "contiguous":
        return SameNode(**base)
    return None


def _checked(graph: Graph, title: str) -> Graph:
    if sum(isinstance(node, InputNode) for node in graph) != 1:
        raise UnsupportedError(f"{title}: needs exactly one input tensor that its output depends on")
    if not graph.layers:
        raise UnsupportedError(
            f"{title}: has no convolutional, Linear or recurrent layer; there is nothing to compress"
        )
    if len(graph.output.shape) != 1:
        raise UnsupportedError(
            f"{title}: gives {graph.output.shape} per sample; a row of class scores is needed, flatten it"
        )
    for node in graph.nodes[:-1]:
        if isinstance(node, SoftmaxNode):
            raise UnsupportedError(
                f"{title}: softmax {node.name} is not the last step; it is supported at the end only"
            )
    return graph


def _check_single_use(graph: fx.Graph, title: str) -> None:
    seen: set[str] = set()
    for step in graph.nodes:
        if step.op != "call_module" or not isinstance(graph.owning_module.get_submodule(step.target), _WITH_STATE):
            continue
        if step.target in seen:
            raise UnsupportedError(
                f"{title}: layer {step.target} is used twice; shared weights are not supported, use two layers"
            )
        seen.add(step.target)


_WITH_STATE = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, *trace_sequences.RECURRENT)


def _conv_pads(module: nn.Conv1d | nn.Conv2d) -> tuple[int, ...]:
    """All begins, then all ends; torch puts the odd pixel of padding="same" last."""
    if module.padding == "valid":
        return (0,) * 2 * len(module.kernel_size)
    if module.padding == "same":
        total = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        return (*(t // 2 for t in total), *(t - t // 2 for t in total))
    return (*module.padding, *module.padding)


def _is_shape_only(step: fx.Node) -> bool:
    """Whether a step gives a size or a shape, not a tensor."""
    return step.op not in ("placeholder", "output") and "tensor_meta" not in step.meta


def _input_shape(step: fx.Node) -> tuple[int, ...]:
    return tuple(step.args[0].meta["tensor_meta"].shape[1:])


def _argument(args: tuple, kwargs: dict, position: int, name: str, default):
    return args[position] if len(args) > position else kwargs.get(name, default)


def _arguments(args: tuple, kwargs: dict, names: tuple[str, ...], defaults: tuple) -> list:
    """Arguments behind the tensor, by position or by name."""
    return [_argument(args, kwargs, i + 1, name, d) for i, (name, d) in enumerate(zip(names, defaults, strict=True))]
