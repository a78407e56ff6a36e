"""TensorFlow Lite files (int8 and uint8): turned into QDQ ONNX in NCHW, integers, scales and zero points unchanged."""

import struct
from pathlib import Path

import onnx

from lamella.codegen.sources.record import Source
from lamella.errors import LamellaError, UnsupportedError, UsageError


def parse(path: Path) -> onnx.ModelProto:
    """The first subgraph of a TFLite file. All operators that are not supported are named at once."""
    import tflite

    from lamella.codegen.sources.tflite_model import Model
    from lamella.codegen.sources.tflite_operators import convert
    from lamella.codegen.sources.tflite_writer import Refused, Writer

    data = path.read_bytes()
    try:
        model = Model(path, tflite.Model.GetRootAs(data), len(data))
        writer = Writer(model)
        reasons = [reason for op in model.ops if (reason := convert(writer, op))]
        if reasons:
            raise UnsupportedError("\n".join(f"{path}: {reason}" for reason in reasons))
        return writer.model()
    except LamellaError:
        raise
    except Refused as reason:
        raise UnsupportedError(f"{path}: {reason}") from None
    except (
        struct.error,
        ValueError,
        TypeError,
        IndexError,
        KeyError,
        AttributeError,
        OverflowError,
        ZeroDivisionError,
        MemoryError,
    ) as error:
        raise UsageError(f"{path}: a damaged TFLite file ({type(error).__name__}); convert it again") from None


SOURCE = Source(
    name="tflite",
    title="TensorFlow Lite, quantised to int8 or uint8",
    is_mine=lambda beginning: beginning[4:8] == b"TFL3",
    parse=parse,
)
