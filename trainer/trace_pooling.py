"""Poolings over images and sequences, from the arguments that torch takes. `base`: fields that every node has."""

from lamella.trainer.graph import AveragePoolNode, MaxPoolNode, Node

Extent = int | tuple[int, ...]


def max_pool(base: dict, kernel: Extent, stride: Extent | None, padding: Extent, dilation: Extent) -> Node:
    """A maximum pooling; without a stride its windows stand side by side."""
    rank = len(base["shape"]) - 1
    kernel, padding, dilation = (_per_axis(value, rank) for value in (kernel, padding, dilation))
    stride = kernel if stride is None else _per_axis(stride, rank)
    return MaxPoolNode(**base, kernel=kernel, stride=stride, padding=padding, dilation=dilation)


def average_pool(base: dict, kernel: Extent, stride: Extent | None, padding: Extent, count_padding: bool) -> Node:
    """An average pooling; without a stride its windows stand side by side."""
    rank = len(base["shape"]) - 1
    kernel, padding = _per_axis(kernel, rank), _per_axis(padding, rank)
    stride = kernel if stride is None else _per_axis(stride, rank)
    return AveragePoolNode(**base, kernel=kernel, stride=stride, padding=padding, count_padding=bool(count_padding))


def adaptive_pool(base: dict, output_size: Extent) -> Node | None:
    """A pooling to one value; None for more, whose windows may differ in size."""
    rank = len(base["shape"]) - 1
    return _whole(base, rank) if output_size in (1, (1,) * rank) else None


def mean(base: dict, axes: Extent | list[int] | None, rank: int) -> Node | None:
    """The mean over all `rank` axes behind the channels; None for other axes."""
    axes = [axes] if isinstance(axes, int) else axes
    if not axes or rank not in (1, 2) or sorted(axis % (rank + 2) for axis in axes) != list(range(2, rank + 2)):
        return None
    return _whole(base, rank)


def _whole(base: dict, rank: int) -> Node:
    """Over everything; kernel ones until the shape of its input is known."""
    ones = (1,) * rank
    return AveragePoolNode(**base, kernel=ones, stride=ones, padding=(0,) * rank, whole=True)


def _per_axis(value: Extent, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)
