"""What the kernels must compute: plain numpy in int64, written from the definitions in runtime_c/include."""

from dataclasses import dataclass, field

import numpy as np

from lamella.requant import requantize


@dataclass(frozen=True)
class Requant:
    """lam_requant: lists of one entry, or of one per channel; shift None means 32 everywhere."""

    multiplier: np.ndarray
    shift: np.ndarray | None
    zero: int = 0
    low: int = 0
    high: int = 255

    def at(self, acc: np.ndarray, entry: int = 0) -> np.ndarray:
        """uint8 of accumulators, by one entry of the lists."""
        shift = 32 if self.shift is None else self.shift[entry]
        return requantize(acc, self.multiplier[entry], shift, self.zero, self.low, self.high)

    def channels(self, acc: np.ndarray, axis: int = 0) -> np.ndarray:
        """uint8 of accumulators whose axis `axis` counts channels."""
        acc = np.moveaxis(acc, axis, 0)
        entries = [0] * len(acc) if len(self.multiplier) == 1 else range(len(acc))
        return np.moveaxis(np.stack([self.at(a, e) for a, e in zip(acc, entries, strict=True)]), 0, axis)


@dataclass(frozen=True)
class Pool:
    """lam_fused_pool; kind 0 none, 1 maximum, 2 average."""

    kind: int = 0
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    bias: int = 0
    q: Requant | None = None


@dataclass(frozen=True)
class Conv:
    """lam_conv2d_shape without what follows from the rest."""

    in_c: int
    in_h: int
    in_w: int
    out_c: int
    groups: int = 1
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    in_zero: int = 0
    pool: Pool = field(default_factory=Pool)

    @property
    def cols(self) -> int:
        return self.in_c // self.groups * self.kernel[0] * self.kernel[1]

    @property
    def out(self) -> tuple[int, int]:
        """Height and width before pooling; 0 or less where the kernel does not fit."""
        sizes = zip((self.in_h, self.in_w), self.pad[:2], self.pad[2:], strict=True)
        extents = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        return tuple((n + a + b - e) // s + 1 for (n, a, b), e, s in zip(sizes, extents, self.stride, strict=True))

    @property
    def pooled(self) -> tuple[int, int]:
        """Height and width of y."""
        return tuple((n - k) // s + 1 for n, k, s in zip(self.out, self.pool.kernel, self.pool.stride, strict=True))


def conv2d_accumulators(conv: Conv, levels: np.ndarray, bias: np.ndarray, x: np.ndarray) -> np.ndarray:
    """int64 (out_c, out_h, out_w) for levels (out_c, cols) and x (in_c, in_h, in_w)."""
    top, left, bottom, right = conv.pad
    padded = np.pad(x.astype(np.int64), ((0, 0), (top, bottom), (left, right)), constant_values=conv.in_zero)
    group_in, group_out = conv.in_c // conv.groups, conv.out_c // conv.groups
    weights = levels.astype(np.int64).reshape(conv.out_c, group_in, *conv.kernel)
    out_h, out_w = conv.out
    acc = np.broadcast_to(np.asarray(bias, np.int64)[:, None, None], (conv.out_c, out_h, out_w)).copy()
    for o in range(conv.out_c):
        for c in range(group_in):
            plane = padded[o // group_out * group_in + c]
            for u in range(conv.kernel[0]):
                for v in range(conv.kernel[1]):
                    i, j = u * conv.dilation[0], v * conv.dilation[1]
                    rows = slice(i, i + (out_h - 1) * conv.stride[0] + 1, conv.stride[0])
                    cols = slice(j, j + (out_w - 1) * conv.stride[1] + 1, conv.stride[1])
                    acc[o] += weights[o, c, u, v] * plane[rows, cols]
    return acc


def conv2d(conv: Conv, levels: np.ndarray, bias: np.ndarray, q: Requant, x: np.ndarray) -> np.ndarray:
    """uint8 (out_c, pooled_h, pooled_w)."""
    y = q.channels(conv2d_accumulators(conv, levels, bias, x))
    if conv.pool.kind == 0:
        return y
    windows = np.lib.stride_tricks.sliding_window_view(y, conv.pool.kernel, (1, 2))
    windows = windows[:, :: conv.pool.stride[0], :: conv.pool.stride[1]]
    if conv.pool.kind == 1:
        return windows.max((3, 4))
    return conv.pool.q.at(windows.astype(np.int64).sum((3, 4)) + conv.pool.bias)


def dense(levels: np.ndarray, bias: np.ndarray, q: Requant, x: np.ndarray) -> np.ndarray:
    """uint8 (batch, rows) for levels (rows, cols) and x (batch, cols)."""
    return q.channels(x.astype(np.int64) @ levels.astype(np.int64).T + bias, axis=1)
