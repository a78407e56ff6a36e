"""Operators that only move values: other shapes, orders and places, parts, repetition."""

from math import prod

import numpy as np

from lamella.codegen.onnx_floats import Operand, strides


def _integers(reader, node, index: int, default=None) -> list[int] | None:
    """A constant input of whole numbers."""
    value = reader.constant(node, index, default)
    return None if value is None else [int(v) for v in np.asarray(value).reshape(-1)]


def _reshape(reader, node) -> None:
    zero_stays = not reader.attributes(node, allowzero=0)["allowzero"]
    x, wanted = reader.operand(node, 0), _integers(reader, node, 1)
    shape = [x.shape[k] if d == 0 and zero_stays and k < x.rank else d for k, d in enumerate(wanted)]
    if shape.count(-1) == 1:
        rest = prod(d for d in shape if d != -1)
        shape[shape.index(-1)] = prod(x.shape) // max(rest, 1)
    _viewed(reader, node, x, shape)


def _viewed(reader, node, x: Operand, shape) -> None:
    if prod(shape) != prod(x.shape) or any(d < 0 for d in shape):
        raise reader.unsupported(node, f"shape {tuple(shape)} for an input of shape {x.shape}")
    reader.give(node, reader.view(node, x, tuple(shape)))


def _flatten(reader, node) -> None:
    axis = reader.attributes(node, axis=1)["axis"]
    x = reader.operand(node, 0)
    axis = axis + x.rank if axis < 0 else axis
    _viewed(reader, node, x, (prod(x.shape[:axis]), prod(x.shape[axis:])))


def _squeeze(reader, node) -> None:
    x = reader.operand(node, 0)
    axes = _integers(reader, node, 1, reader.attributes(node, axes=None)["axes"])
    gone = [k for k, d in enumerate(x.shape) if d == 1] if axes is None else [a % x.rank for a in axes]
    _viewed(reader, node, x, [d for k, d in enumerate(x.shape) if k not in gone])


def _unsqueeze(reader, node) -> None:
    x = reader.operand(node, 0)
    axes = _integers(reader, node, 1, reader.attributes(node, axes=None)["axes"])
    shape = list(x.shape)
    for axis in sorted(a % (x.rank + len(axes)) for a in axes):
        shape.insert(axis, 1)
    _viewed(reader, node, x, shape)


def _transpose(reader, node) -> None:
    x = reader.operand(node, 0)
    axes = reader.attributes(node, perm=None)["perm"] or list(range(x.rank))[::-1]
    reader.give(node, reader.transposed(node, x, list(axes)))


def _concat(reader, node) -> None:
    axis = reader.attributes(node, axis=None)["axis"]
    reader.give(node, reader.joined(node, [reader.operand(node, k) for k in range(len(node.input))], axis))


def _slice(reader, node) -> None:
    x = reader.operand(node, 0)
    old = reader.attributes(node, starts=None, ends=None, axes=None)
    starts, ends = _integers(reader, node, 1, old["starts"]), _integers(reader, node, 2, old["ends"])
    axes = _integers(reader, node, 3, old["axes"]) or list(range(len(starts)))
    steps = _integers(reader, node, 4) or [1] * len(starts)
    indices = [np.arange(d) for d in x.shape]
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis %= x.rank
        d = x.shape[axis]
        if step < 0 and end < -d:
            indices[axis] = np.arange(d)[start::step] if start >= -d else np.arange(0)
        else:
            indices[axis] = np.arange(d)[slice(max(start, -d) if step > 0 else start, end, step)]
    reader.give(node, reader.indexed(node, x, indices))


def _split(reader, node) -> None:
    x = reader.operand(node, 0)
    a = reader.attributes(node, axis=0, split=None, num_outputs=None)
    axis = a["axis"] % x.rank
    sizes = _integers(reader, node, 1, a["split"])
    if sizes is None:
        one = -(-x.shape[axis] // len(node.output))
        sizes = [min(one, x.shape[axis] - k * one) for k in range(len(node.output))]
    at = 0
    for k, size in enumerate(sizes):
        indices = [np.arange(d) for d in x.shape]
        indices[axis] = np.arange(at, at + size)
        at += size
        if node.output[k]:
            reader.give(node, reader.indexed(node, x, indices), k)


def _pad(reader, node) -> None:
    x = reader.operand(node, 0)
    a = reader.attributes(node, mode="constant", pads=None, value=0.0)
    pads = _integers(reader, node, 1, a["pads"])
    fill = float(np.asarray(reader.constant(node, 2, a["value"])).reshape(-1)[0])
    axes = [k % x.rank for k in _integers(reader, node, 3) or range(x.rank)]
    for pad in pads:
        reader.length(node, abs(pad))
    indices = [np.arange(d) for d in x.shape]
    for k, axis in enumerate(axes):
        before, after, d = pads[k], pads[k + len(axes)], x.shape[axis]
        places = np.arange(-before, d + after)
        if a["mode"] == "edge":
            places = places.clip(0, d - 1)
        elif a["mode"] == "reflect":
            period = max(2 * (d - 1), 1)
            places = np.abs((places + d - 1) % period - (d - 1)) if d > 1 else places * 0
        elif a["mode"] == "wrap":
            places = places % d
        else:
            places = np.where((places >= 0) & (places < d), places, -1)
        indices[axis] = places
    reader.give(node, reader.indexed(node, x, indices, fill))


def _expand(reader, node) -> None:
    reader.attributes(node)
    x = reader.operand(node, 0)
    wanted = _integers(reader, node, 1)
    shape = np.broadcast_shapes(x.shape, tuple(wanted))
    _spread(reader, node, x, shape)


def _spread(reader, node, x: Operand, shape) -> None:
    reader.length(node, *shape)
    whole = (1,) * (len(shape) - x.rank) + x.shape
    steps = strides(whole)
    at = [np.arange(d) * (step if n > 1 else 0) for d, n, step in zip(shape, whole, steps, strict=True)]
    reader.give(node, reader.pick(node, x, at))


def _tile(reader, node) -> None:
    reader.attributes(node)
    x = reader.operand(node, 0)
    times = _integers(reader, node, 1)
    reader.length(node, *(d * t for d, t in zip(x.shape, times, strict=True)))
    reader.give(node, reader.indexed(node, x, [np.tile(np.arange(d), t) for d, t in zip(x.shape, times, strict=True)]))


def _gather(reader, node) -> None:
    axis = reader.attributes(node, axis=0)["axis"]
    x = reader.operand(node, 0)
    axis %= x.rank
    places = np.asarray(reader.constant(node, 1))
    places = np.where(places < 0, places + x.shape[axis], places).astype(np.int64)
    if places.size and (places.min() < 0 or places.max() >= x.shape[axis]):
        raise reader.unsupported(node, f"indices beyond an axis of {x.shape[axis]}")
    indices = [np.arange(d) for d in x.shape]
    indices[axis] = places.reshape(-1)
    y = reader.indexed(node, x, indices)
    shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    reader.give(node, y if y.shape == shape else reader.view(node, y, shape))


def _depth_to_space(reader, node) -> None:
    a = reader.attributes(node, blocksize=None, mode="DCR")
    x, b = reader.operand(node, 0), a["blocksize"]
    n, c, h, w = x.shape
    if a["mode"] == "DCR":
        y = reader.transposed(node, reader.view(node, x, (n, b, b, c // b**2, h, w)), [0, 3, 4, 1, 5, 2])
    else:
        y = reader.transposed(node, reader.view(node, x, (n, c // b**2, b, b, h, w)), [0, 1, 4, 2, 5, 3])
    reader.give(node, reader.view(node, y, (n, c // b**2, h * b, w * b)))


def _space_to_depth(reader, node) -> None:
    a = reader.attributes(node, blocksize=None, mode="DCR")
    x, b = reader.operand(node, 0), a["blocksize"]
    n, c, h, w = x.shape
    order = [0, 3, 5, 1, 2, 4] if a["mode"] == "DCR" else [0, 1, 3, 5, 2, 4]
    y = reader.transposed(node, reader.view(node, x, (n, c, h // b, b, w // b, b)), order)
    reader.give(node, reader.view(node, y, (n, c * b * b, h // b, w // b)))


READERS = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Concat": _concat,
    "Slice": _slice,
    "Split": _split,
    "Pad": _pad,
    "Expand": _expand,
    "Tile": _tile,
    "Gather": _gather,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
