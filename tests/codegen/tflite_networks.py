"""Small networks as TFLite files, of operators that the models in tests/models do not have."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tflite
from tflite_file import File


def write(path: Path, name: str, rng: np.random.Generator) -> None:
    """The file of one of NETWORKS."""
    f = File()
    f.write(path, *NETWORKS[name](f, rng))


def mobile(f: File, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Convolution, slopes, sums, differences, products with constants, functions by table, resizing and a mean."""

    def near(scale: float) -> tuple[float, int]:  # what keeps values inside their ranges, whatever the numbers
        return scale * float(rng.uniform(0.9, 1.1)), int(rng.integers(-30, 30))

    def image(channels: int = 4, scale: float = 0.1, size: tuple[int, int] = (6, 6)) -> int:
        return f.tensor((1, *size, channels), *near(scale))

    def wide(scale: float) -> int:
        return image(4, scale, (4, 9))

    x, once = image(3, 0.05), {"Padding": tflite.Padding.SAME, "StrideH": 1, "StrideW": 1}
    kernel = f.constant(rng.integers(-127, 128, (4, 3, 3, 3)), "int8", rng.uniform(0.002, 0.01, 4))
    bias = f.constant(rng.integers(-3000, 3000, 4), "int32", np.full(4, 0.05 * 0.005))
    y = a = f.op("CONV_2D", [x, kernel, bias], [image()], "Conv2DOptions", DilationHFactor=1, DilationWFactor=1, **once)
    y = f.op("PRELU", [y, f.constant(rng.integers(-128, 128, (1, 1, 4)), "int8", 0.004, 9)], [image()])
    y = f.op("ADD", [y, a], [image()], "AddOptions")
    y = f.op("ADD", [y, f.constant(rng.integers(-128, 128, 4), "int8", 0.02, -7)], [image()], "AddOptions")
    y = f.op("HARD_SWISH", [y], [image()])
    y = f.op("SUB", [f.constant(5, "int8", 0.02, 1), y], [image()], "SubOptions")
    q = near(0.05)
    y = f.op("LEAKY_RELU", [y], [f.tensor((1, 6, 6, 4), *q)], "LeakyReluOptions", Alpha=0.3)
    larger = [f.tensor((1, 4, 9, 4), *q)]
    y = f.op("RESIZE_BILINEAR", [y, f.constant([4, 9])], larger, "ResizeBilinearOptions", HalfPixelCenters=True)
    y = f.op("MUL", [y, f.constant(90, "int8", 0.008, 0)], [wide(0.03)], "MulOptions")
    half = f.op("MUL", [y, f.constant(64, "int8", 1 / 128, 0)], [wide(0.02)], "MulOptions")
    b = f.op("SUB", [y, half], [wide(0.03)], "SubOptions")
    y = f.op("ADD", [y, b], [wide(0.04)], "AddOptions")
    mean = f.op("MEAN", [y, f.constant([2])], [f.tensor((1, 4, 4), *near(0.02))], "ReducerOptions", KeepDims=False)
    total = f.op("SUM", [y, f.constant([1, 3])], [f.tensor((1, 9), *near(0.2))], "ReducerOptions", KeepDims=False)
    return [x], [mean, total]


def movement(f: File, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Values that only move, by shapes of which some are computed."""
    q = float(rng.uniform(0.02, 0.1)), int(rng.integers(-30, 30))
    x = f.tensor((1, 3, 4), *q)
    shape = f.op("SHAPE", [x], [f.tensor((3,), kind="int32")], "ShapeOptions", OutType=tflite.TensorType.INT32)
    run = [f.constant([0]), f.constant([1]), f.constant([1])]
    batch = f.op("STRIDED_SLICE", [shape, *run], [f.tensor((), kind="int32")], "StridedSliceOptions", ShrinkAxisMask=1)
    whole = f.op("PACK", [batch, f.constant(12)], [f.tensor((2,), kind="int32")], "PackOptions", ValuesCount=2)
    flat = f.op("RESHAPE", [x, whole], [f.tensor((1, 12), *q)])
    both = f.op("PACK", [x, x], [f.tensor((1, 2, 3, 4), *q)], "PackOptions", ValuesCount=2, Axis=1)
    parts = [f.tensor((1, 2, 4), *q) for _ in range(3)]
    f.op("UNPACK", [both], parts, "UnpackOptions", Num=3, Axis=2)
    one, three = f.tensor((1, 3, 1), *q), f.tensor((1, 3, 3), *q)
    f.op("SPLIT_V", [x, f.constant([1, 3]), f.constant(2)], [one, three], "SplitVOptions", NumSplits=2)
    places = f.op("GATHER", [x, f.constant([2, 0])], [f.tensor((1, 2, 4), *q)], "GatherOptions", Axis=1)
    repeated = f.op("BROADCAST_TO", [one, f.constant([1, 3, 5])], [f.tensor((1, 3, 5), *q)], "BroadcastToOptions")
    most = f.op("REDUCE_MAX", [both, f.constant([1, 3])], [f.tensor((1, 3), *q)], "ReducerOptions", KeepDims=False)
    return [x], [flat, *parts, three, places, repeated, most]


NETWORKS: Mapping[str, Callable[[File, np.random.Generator], tuple[list[int], list[int]]]] = {
    "mobile": mobile,
    "movement": movement,
}
