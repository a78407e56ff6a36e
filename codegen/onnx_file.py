"""Parsing and checking an ONNX file, before anything is made of it."""

from pathlib import Path

import numpy as np
import onnx

from lamella.codegen import operators
from lamella.errors import UnsupportedError, UsageError

#: Operators of the file format that the reader itself resolves.
STRUCTURAL = ("QuantizeLinear", "DequantizeLinear", "Constant", "Identity", "Dropout")
#: Larger tensors are refused before any memory is taken for them.
LARGEST_TENSOR = 1 << 28


def load(path: Path) -> onnx.ModelProto:
    """Parse and check an ONNX file, without external data."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        model = onnx.load_model(path, load_external_data=False)
    except Exception as error:  # protobuf raises several kinds, all meaning the same to the user
        raise UsageError(
            f"{path}: not an ONNX file, or a damaged one ({type(error).__name__}); export it again"
        ) from None
    if not model.graph.node:
        raise UsageError(f"{path}: not an ONNX file, or one without operators; export it again")
    bodies = [_body(node) for node in model.graph.node if _body(node) is not None]
    for tensor in (t for graph in (model.graph, *bodies) for t in graph.initializer):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise UnsupportedError(
                f"{path}: initializer {tensor.name!r} lies in an external file; save the model with the weights inside"
            )
        if len(tensor.dims) and np.prod([float(d) for d in tensor.dims]) > LARGEST_TENSOR:
            raise UnsupportedError(f"{path}: initializer {tensor.name!r} has more than {LARGEST_TENSOR} elements")
    known = operators.by_onnx_type()
    unknown = [n for n in model.graph.node if n.domain not in ("", "ai.onnx") or n.op_type not in (*known, *STRUCTURAL)]
    # Constant sub-graphs (Shape, Gather, ... behind a Reshape) are evaluated by onnx itself, see Constants.fold.
    if unknown:
        foldable = _foldable(model)
        unknown = [n for n in unknown if not set(n.output[:1]) & foldable]
    inner = [n for body in bodies for n in body.node]
    unknown += [n for n in inner if n.domain not in ("", "ai.onnx") or n.op_type not in (*known, *STRUCTURAL)]
    if unknown:
        listed = "; ".join(
            f"{n.name or ', '.join(n.output)}: {n.domain + '.' if n.domain else ''}{n.op_type}" for n in unknown[:10]
        )
        raise UnsupportedError(
            f"{path}: operators that are not supported: {listed}. `lamella operators` lists what is; "
            "leave them outside the exported network or replace them"
        )
    try:
        onnx.checker.check_model(model)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(f"{path}: not a valid ONNX model: {reason}; export it again") from None
    return model


def _body(node: onnx.NodeProto) -> onnx.GraphProto | None:
    """The inner graph of a node that has one."""
    return next((a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH), None)


def _foldable(model: onnx.ModelProto) -> set[str]:
    """Tensors that are constant once the batch is 1: results of nodes fed by constants, and shapes."""
    constant = {t.name for t in model.graph.initializer} | {""}
    for node in model.graph.node:
        if node.op_type == "Shape" or (node.op_type != "DequantizeLinear" and all(i in constant for i in node.input)):
            constant.update(node.output)
    return constant
