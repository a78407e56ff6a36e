"""What convolution and pooling share: windows sliding over planar images. A sequence is an image of one row."""

from dataclasses import dataclass
from math import prod

from lamella.codegen.ir import Quantization, Tensor


@dataclass(frozen=True)
class Window:
    """Kernel, stride, dilation as (rows, columns); pads as (top, left, bottom, right); all in pixels."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    def reach(self, axis: int) -> int:
        """Pixels that one window spans along an axis (0: rows, 1: columns)."""
        return (self.kernel[axis] - 1) * self.dilation[axis] + 1

    def out_size(self, size: tuple[int, int], ceil_mode: bool = False) -> tuple[int, int]:
        """Windows along each axis (ONNX, operator MaxPool); with ceil_mode the last may hang over the end."""
        return tuple(self._count(size[axis], axis, ceil_mode) for axis in (0, 1))

    def _count(self, size: int, axis: int, ceil_mode: bool) -> int:
        padded = size + self.pads[axis] + self.pads[axis + 2]
        free, stride = padded - self.reach(axis), self.stride[axis]
        count = (-(-free // stride) if ceil_mode else free // stride) + 1
        if ceil_mode and (count - 1) * stride >= size + self.pads[axis]:
            count -= 1  # a window that would start in the padding behind the image is left out
        return count


def read_window(reader, node, attributes: dict, kernel: tuple[int, ...], size: tuple[int, int]) -> Window:
    """The window of a Conv or pooling node from its attributes kernel_shape, strides, dilations, pads, auto_pad."""
    rank = len(kernel)
    if rank not in (1, 2):
        raise reader.unsupported(node, f"{rank}-dimensional windows; one and two dimensions are supported")
    stride = tuple(attributes["strides"] or (1,) * rank)
    dilation = tuple(attributes["dilations"] or (1,) * rank)
    pads = tuple(attributes["pads"] or (0,) * (2 * rank))
    if len(stride) != rank or len(dilation) != rank or len(pads) != 2 * rank:
        raise reader.unsupported(node, f"strides, dilations and pads must be given for {rank} dimensions")
    if rank == 1:
        kernel, stride, dilation, pads = (1, *kernel), (1, *stride), (1, *dilation), (0, pads[0], 0, pads[1])
    if (
        min(kernel) < 1
        or min(stride) < 1
        or min(dilation) < 1
        or min(pads) < 0
        or max(*kernel, *stride, *dilation, *pads) > 65535
    ):
        raise reader.unsupported(node, "kernel, strides, dilations and pads must be positive and below 65536")
    auto = attributes["auto_pad"]
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        totals = [
            max((-(-size[a] // stride[a]) - 1) * stride[a] + (kernel[a] - 1) * dilation[a] + 1 - size[a], 0)
            for a in (0, 1)
        ]
        first = [t // 2 if auto == "SAME_UPPER" else t - t // 2 for t in totals]
        pads = (first[0], first[1], totals[0] - first[0], totals[1] - first[1])
    elif auto == "VALID":
        pads = (0, 0, 0, 0)
    elif auto != "NOTSET":
        raise reader.unsupported(node, f"auto_pad {auto!r}")
    return Window(tuple(kernel), stride, dilation, pads)


def image(reader, node) -> Tensor:
    """The first input as (1, channels, rows, columns); a sequence (1, channels, length) is seen as one row."""
    x = reader.activation(node, 0)
    if len(x.shape) == 3:
        return reader.view(node, x, (1, x.shape[1], 1, x.shape[2]))
    if len(x.shape) != 4:
        raise reader.unsupported(
            node,
            f"its input has shape {x.shape}; (batch, channels, rows, columns) and (batch, channels, length) are supported",
        )
    return x


def reduced(reader, node) -> tuple[Tensor, Window, tuple[int, ...]]:
    """ONNX reductions (ReduceMean, ReduceMax) over any axes but the batch: the input as an image, the window that covers all
    of what is reduced, and the shape of the result."""
    from lamella.codegen.operators import transpose  # which draws its samples with the help of this module

    a = reader.attributes(node, axes=None, keepdims=1, noop_with_empty_axes=0)
    x = reader.activation(node, 0)
    rank = len(x.shape)
    given = reader.constant(node, 1, a["axes"])
    axes = sorted({int(v) % rank for v in given}) if given is not None and len(given) else list(range(1, rank))
    if axes[0] == 0 or (given is None and rank > 1):
        raise reader.unsupported(node, f"axes {axes} of shape {x.shape}; axes behind the batch are supported")
    shape = tuple(1 if k in axes else d for k, d in enumerate(x.shape) if a["keepdims"] or k not in axes)
    if any(k not in axes and x.shape[k] > 1 for k in range(axes[0], axes[-1])):  # apart: moved behind all others
        perm = [k for k in range(rank) if k not in axes] + axes
        moved = tuple(x.shape[k] for k in perm)
        x = transpose.permuted(reader, node, x, x.shape, perm, moved, None)
        axes = list(range(rank - len(axes), rank))
    left = [axis for axis in range(axes[0], axes[-1] + 1) if x.shape[axis] > 1]  # axes of one place do not matter
    behind = prod(x.shape[axes[-1] + 1 :])
    inside = [x.shape[axis] for axis in left] or [1]
    # Rows and columns keep their shape, as poolings have fast ways for those.
    rows, cols = (prod(inside), behind) if behind > 1 or len(inside) == 1 else (prod(inside[:-1]), inside[-1])
    kernel = (rows, 1) if behind > 1 or len(inside) == 1 else (rows, cols)
    outer = prod(x.shape[: axes[0]])
    if max(rows, cols, outer) > 65535:
        raise reader.unsupported(node, f"axes {axes} of shape {x.shape}: more than 65535 places")
    return reader.view(node, x, (1, outer, rows, cols)), Window(kernel, kernel), shape


def add(reader, op: str, node, x: Tensor, shape: tuple[int, ...], quantization: Quantization, attributes) -> None:
    """Append an operator whose input came from `image`; behind a sequence the result is one again."""
    if len(shape) == 4 and len(reader.activation(node, 0).shape) == 3:
        image_of_result = reader.add_hidden(op, node, [x], shape, quantization, attributes)
        reader.view(node, image_of_result, (1, shape[1], shape[3]), node.output[0])
    else:
        reader.add(op, node, [x], shape, quantization, attributes)
