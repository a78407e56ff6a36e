"""ONNX files: parsed, with weights from files beside them, and refused where they point elsewhere or are too large."""

from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import Message

from lamella.codegen.sources.record import Source
from lamella.errors import UnsupportedError, UsageError

#: Larger tensors are refused before any memory is taken for them.
LARGEST_TENSOR = 1 << 24
#: What the descriptors of some kernels can say of an axis, in 16 bits.
LONGEST_AXIS = 65535


def parse(path: Path) -> onnx.ModelProto:
    """Parse an ONNX file, with its external data (exporters write weights to a file beside it)."""
    try:
        model = onnx.load_model(path, load_external_data=False)
    except Exception as error:  # protobuf raises several kinds, all meaning the same to the user
        raise UsageError(
            f"{path}: not an ONNX file, or a damaged one ({type(error).__name__}); export it again"
        ) from None
    if not model.graph.node:
        raise UsageError(f"{path}: not an ONNX file, or one without operators; export it again")
    if not _is_text(model):
        raise UsageError(f"{path}: a damaged ONNX file (a name in it is no text in UTF-8); export it again")
    bodies = [a.g for node in model.graph.node for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
    for tensor in (t for graph in (model.graph, *bodies) for t in graph.initializer):
        if len(tensor.dims) and np.prod([float(d) for d in tensor.dims]) > LARGEST_TENSOR:
            raise UnsupportedError(f"{path}: initializer {tensor.name!r} has more than {LARGEST_TENSOR} elements")
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _take_inside(tensor, path)
    return model


def _is_text(message: Message) -> bool:
    """Whether all text of a message is UTF-8; Protobuf hands over what is not as bytes."""
    for field, value in message.ListFields():
        items = [value] if isinstance(value, (str, bytes, Message)) else value
        if field.type == field.TYPE_MESSAGE and not all(map(_is_text, items)):
            return False
        if field.type == field.TYPE_STRING and any(isinstance(item, bytes) for item in items):
            return False
    return True


def _take_inside(tensor: onnx.TensorProto, path: Path) -> None:
    """The bytes of a tensor whose data lies in another file, which must lie in the model's folder."""
    where = {entry.key: entry.value for entry in tensor.external_data}
    what = f"{path}: initializer {tensor.name!r}"
    location = where.get("location", "")
    file = path.parent / location
    inside = location and "\0" not in location and not Path(location).is_absolute() and ".." not in Path(location).parts
    if not inside or not file.resolve().is_relative_to(path.parent.resolve()) or file.is_symlink():
        raise UsageError(
            f"{what} lies in {location!r}, outside the model's folder; export the model again, with its weights inside"
        )
    if not file.is_file():
        raise UsageError(f"{what} lies in {location!r}, which is not there; keep both files in one folder")
    try:
        offset, given = int(where.get("offset", 0)), where.get("length")
        bits = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize * 8
        bits = {onnx.TensorProto.INT4: 4, onnx.TensorProto.UINT4: 4}.get(tensor.data_type, bits)
        length = -(-int(np.prod([max(d, 0) for d in tensor.dims], dtype=np.int64)) * bits // 8)
        if offset < 0 or length != int(given if given is not None else length):
            raise ValueError(f"{given} bytes at {offset} for {length}")
        with file.open("rb") as data:
            data.seek(offset)
            raw = data.read(length)
        if len(raw) != length:
            raise ValueError(f"{len(raw)} bytes of {length}")
    except (ValueError, TypeError, KeyError, OverflowError, OSError) as error:
        raise UsageError(f"{what} cannot be read from {location!r} ({error}); export the model again") from None
    tensor.raw_data = raw
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


SOURCE = Source(
    name="onnx",
    title="ONNX, quantised in QDQ or QOperator form",
    is_mine=lambda beginning: True,
    parse=parse,
    fallback=True,
)
