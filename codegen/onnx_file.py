"""From a model file of any kind to a checked ONNX model in the one form that the reader knows."""

from collections.abc import Sequence
from pathlib import Path

import onnx

from lamella.codegen import operators, rewrites, sources
from lamella.codegen.sources.onnx_file import LARGEST_TENSOR
from lamella.errors import LamellaError, UsageError

__all__ = ["INTEGER_KERNELS", "LARGEST_TENSOR", "STRUCTURAL", "load", "unknown_nodes", "witness_model"]

#: Operators of the file format that the reader itself resolves.
STRUCTURAL = ("QuantizeLinear", "DequantizeLinear", "Constant", "Identity", "Dropout")
_OURS = ("", "ai.onnx")
INTEGER_KERNELS = ("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger")


def load(path: Path) -> onnx.ModelProto:
    """Parse a model file, rewrite it to QDQ form and check it. Nodes that nobody knows stay, for the reader to refuse."""
    model = sources.parse(path)
    try:
        model = rewrites.rewritten(model)
    except LamellaError:
        raise
    except Exception as error:  # a model that onnx's checker would not pass may make a rewrite stumble
        _check(sources.parse(path), path)
        raise UsageError(f"{path}: not a valid ONNX model ({type(error).__name__}); export it again") from None
    _check(model, path)
    return model


def witness_model(path: Path) -> onnx.ModelProto:
    """The model for onnxruntime: as the file has it, or as `load` gives it if it holds nodes that onnxruntime does not know
    or computes with integer kernels, which saturate their sums of uint8 times int8 on some processors."""
    model = sources.parse(path)
    theirs = any(node.domain not in _OURS or node.op_type in INTEGER_KERNELS for node in model.graph.node)
    return load(path) if theirs else model


def unknown_nodes(model: onnx.ModelProto) -> Sequence[onnx.NodeProto]:
    """Nodes, those inside loops included, that no operator reads and that are not constant."""
    known = (*operators.by_onnx_type(), *STRUCTURAL)

    def strange(node: onnx.NodeProto) -> bool:
        return node.domain not in _OURS or node.op_type not in known

    found = [node for node in model.graph.node if strange(node)]
    # Constant sub-graphs (Shape, Gather, ... behind a Reshape) are evaluated by onnx itself, see Constants.fold.
    if found:
        foldable = _foldable(model)
        found = [node for node in found if not set(node.output[:1]) & foldable]
    inner = [n for node in model.graph.node for body in [_body(node)] if body is not None for n in body.node]
    return [*found, *(node for node in inner if strange(node))]


def _check(model: onnx.ModelProto, path: Path) -> None:
    """onnx's checker; nodes that nobody knows are taken for another domain's, so that they do not stop it."""
    strange = unknown_nodes(model)
    if strange:
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        model = copy
        for node in unknown_nodes(model):
            node.domain = "unknown"
        model.opset_import.append(onnx.helper.make_opsetid("unknown", 1))
    try:
        onnx.checker.check_model(model)
    except Exception as error:
        try:
            reason = str(error).strip().splitlines()[0]
        except (IndexError, UnicodeDecodeError):
            reason = type(error).__name__
        raise UsageError(f"{path}: not a valid ONNX model: {reason}; export it again") from None


def _body(node: onnx.NodeProto) -> onnx.GraphProto | None:
    """The inner graph of a node that has one."""
    return next((a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH), None)


def _foldable(model: onnx.ModelProto) -> set[str]:
    """Tensors that are constant once the batch is 1: results of nodes fed by constants, and shapes."""
    constant = {t.name for t in model.graph.initializer} | {""}
    for node in model.graph.node:
        computable = node.domain in _OURS and node.op_type != "DequantizeLinear"
        if node.op_type == "Shape" or (computable and all(i in constant for i in node.input)):
            constant.update(node.output)
    return constant
