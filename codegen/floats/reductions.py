"""Values over some axes brought together, and normalisations that are made of it."""

from functools import partial

import numpy as np

from lamella.codegen.onnx_floats import Operand


def _axes(reader, node, x: Operand) -> tuple[list[int], bool]:
    """Axes, and whether they stay with length 1."""
    a = reader.attributes(node, axes=None, keepdims=1, noop_with_empty_axes=0)
    found = reader.constant(node, 1, a["axes"])
    found = None if found is None else [int(k) for k in np.asarray(found).reshape(-1)]
    if not found:
        found = [] if a["noop_with_empty_axes"] else list(range(x.rank))
    return found, bool(a["keepdims"])


def _reduce(reader, node, function: str, start: float | None = 0.0, mean: bool = False, after: str = "") -> None:
    x = reader.operand(node, 0)
    axes, keep = _axes(reader, node, x)
    y = reader.reduce(node, function, x, axes, start, mean, keep)
    reader.give(node, reader.unary(node, after, y) if after else y)


def _log_sum_exp(reader, node) -> None:
    x = reader.operand(node, 0)
    axes, keep = _axes(reader, node, x)
    most = reader.reduce(node, "max", x, axes, None)
    total = reader.reduce(node, "add", reader.unary(node, "exp", reader.binary(node, "sub", x, most)), axes)
    y = reader.binary(node, "add", reader.unary(node, "log", total), most)
    kept = tuple(d for k, d in enumerate(x.shape) if k not in {a % max(x.rank, 1) for a in axes})
    reader.give(node, y if keep else reader.view(node, y, kept))


def _global(reader, node, function: str, mean: bool) -> None:
    x = reader.operand(node, 0)
    reader.give(node, reader.reduce(node, function, x, range(2, x.rank), 0.0 if mean else None, mean))


def _softmax(reader, node, log: bool = False) -> None:
    x = reader.operand(node, 0)
    old = reader.opset() < 13
    axis = reader.attributes(node, axis=1 if old else -1)["axis"] % max(x.rank, 1)
    axes = range(axis, x.rank) if old else [axis]
    less = reader.binary(node, "sub", x, reader.reduce(node, "max", x, axes, None))
    e = reader.unary(node, "exp", less)
    total = reader.reduce(node, "add", e, axes)
    if log:
        reader.give(node, reader.binary(node, "sub", less, reader.unary(node, "log", total)))
    else:
        reader.give(node, reader.binary(node, "div", e, total))


def _normal(reader, node, x: Operand, axes, epsilon: float) -> tuple[Operand, Operand, Operand]:
    """(x - mean) / sqrt(variance + epsilon) over some axes; the mean; 1 / deviation."""
    mean = reader.reduce(node, "add", x, axes, mean=True)
    less = reader.binary(node, "sub", x, mean)
    variance = reader.reduce(node, "add_square", less, axes, mean=True)
    deviation = reader.unary(node, "sqrt", reader.scalar(node, "add", variance, epsilon))
    return reader.binary(node, "div", less, deviation), mean, deviation


def _layer_norm(reader, node) -> None:
    a = reader.attributes(node, axis=-1, epsilon=1e-5, stash_type=1)
    x = reader.operand(node, 0)
    y, mean, deviation = _normal(reader, node, x, range(a["axis"] % x.rank, x.rank), a["epsilon"])
    y = reader.binary(node, "mul", y, reader.operand(node, 1))
    bias = reader.optional(node, 2)
    reader.give(node, y if bias is None else reader.binary(node, "add", y, bias))
    if len(node.output) > 1 and node.output[1]:
        reader.give(node, mean, 1)
    if len(node.output) > 2 and node.output[2]:
        reader.give(node, reader.unary(node, "reciprocal", deviation), 2)


def _rms_norm(reader, node) -> None:
    a = reader.attributes(node, axis=-1, epsilon=1e-5, stash_type=1)
    x = reader.operand(node, 0)
    square = reader.reduce(node, "add_square", x, range(a["axis"] % x.rank, x.rank), mean=True)
    deviation = reader.unary(node, "sqrt", reader.scalar(node, "add", square, a["epsilon"]))
    reader.give(node, reader.binary(node, "mul", reader.binary(node, "div", x, deviation), reader.operand(node, 1)))


def _along_channels(reader, node, x: Operand, v: Operand) -> Operand:
    """A vector of channels, to be spread over the axes behind."""
    return reader.view(node, v, (*v.shape, *(1,) * (x.rank - 2)))


def _batch_norm(reader, node) -> None:
    a = reader.attributes(node, epsilon=1e-5, momentum=0.9, training_mode=0, spatial=1)
    if a["training_mode"] or not a["spatial"]:
        raise reader.unsupported(node, "training mode; export for inference")
    x, gamma, beta, mean, variance = (reader.operand(node, k) for k in range(5))
    deviation = reader.unary(node, "sqrt", reader.scalar(node, "add", variance, a["epsilon"]))
    scale = reader.binary(node, "div", gamma, deviation)
    offset = reader.binary(node, "sub", beta, reader.binary(node, "mul", mean, scale))
    y = reader.binary(node, "mul", x, _along_channels(reader, node, x, scale))
    reader.give(node, reader.binary(node, "add", y, _along_channels(reader, node, x, offset)))


def _instance_norm(reader, node) -> None:
    epsilon = reader.attributes(node, epsilon=1e-5)["epsilon"]
    x, gamma, beta = (reader.operand(node, k) for k in range(3))
    y, _, _ = _normal(reader, node, x, range(2, x.rank), epsilon)
    y = reader.binary(node, "mul", y, _along_channels(reader, node, x, gamma))
    reader.give(node, reader.binary(node, "add", y, _along_channels(reader, node, x, beta)))


def _group_norm(reader, node) -> None:
    a = reader.attributes(node, epsilon=1e-5, num_groups=None, stash_type=1)
    if reader.opset() < 21:
        raise reader.unsupported(node, "opset before 21, where scale and bias are per group; convert to 21 or later")
    x, gamma, beta = (reader.operand(node, k) for k in range(3))
    groups = a["num_groups"]
    if x.rank < 3 or not groups or groups < 1 or x.shape[1] % groups:
        raise reader.unsupported(node, f"num_groups = {groups} for an input of shape {x.shape}")
    apart = reader.view(node, x, (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))
    y, _, _ = _normal(reader, node, apart, range(2, apart.rank), a["epsilon"])
    y = reader.view(node, y, x.shape)
    y = reader.binary(node, "mul", y, _along_channels(reader, node, x, gamma))
    reader.give(node, reader.binary(node, "add", y, _along_channels(reader, node, x, beta)))


def _mean_variance(reader, node) -> None:
    axes = reader.attributes(node, axes=[0, 2, 3])["axes"]
    x = reader.operand(node, 0)
    mean = reader.reduce(node, "add", x, axes, mean=True)
    less = reader.binary(node, "sub", x, mean)
    variance = reader.reduce(node, "add_square", less, axes, mean=True)
    deviation = reader.scalar(node, "add", reader.unary(node, "sqrt", variance), 1e-9)
    reader.give(node, reader.binary(node, "div", less, deviation))


def _lp_norm(reader, node) -> None:
    a = reader.attributes(node, axis=-1, p=2)
    x = reader.operand(node, 0)
    size = reader.reduce(node, "add_abs" if a["p"] == 1 else "add_square", x, [a["axis"]])
    size = size if a["p"] == 1 else reader.unary(node, "sqrt", size)
    size = reader.unary(node, "at_least", size, float(np.finfo(np.float32).tiny))  # nothing but zeros stays so
    reader.give(node, reader.binary(node, "div", x, size))


READERS = {
    "ReduceSum": partial(_reduce, function="add"),
    "ReduceMean": partial(_reduce, function="add", mean=True),
    "ReduceMax": partial(_reduce, function="max", start=None),
    "ReduceMin": partial(_reduce, function="min", start=None),
    "ReduceProd": partial(_reduce, function="mul", start=1.0),
    "ReduceSumSquare": partial(_reduce, function="add_square"),
    "ReduceL1": partial(_reduce, function="add_abs"),
    "ReduceL2": partial(_reduce, function="add_square", after="sqrt"),
    "ReduceLogSum": partial(_reduce, function="add", after="log"),
    "ReduceLogSumExp": _log_sum_exp,
    "GlobalAveragePool": partial(_global, function="add", mean=True),
    "GlobalMaxPool": partial(_global, function="max", mean=False),
    "Softmax": _softmax,
    "LogSoftmax": partial(_softmax, log=True),
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm,
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "MeanVarianceNormalization": _mean_variance,
    "LpNormalization": _lp_norm,
}
