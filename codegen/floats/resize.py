"""Resize: nearest by picking values, other ways as a product with a matrix for each axis."""

import numpy as np
import onnx
from onnx import helper

#: Most coefficients of one axis: places, or a matrix of new by old ones, which lies in flash. onnx computes each by itself.
MOST_COEFFICIENTS = 2**18


def _evaluate(node, opset: int, x: np.ndarray, scales, sizes) -> np.ndarray:
    """onnx's own definition, of an array that says which values a result is made of."""
    from onnx.reference import ReferenceEvaluator

    one = onnx.NodeProto()
    one.CopyFrom(node)
    del one.input[:]
    one.input.extend(["x", "", "scales" if sizes is None else "", *([] if sizes is None else ["sizes"])])
    kept = [a for a in one.attribute if a.name not in ("axes", "keep_aspect_ratio_policy")]
    del one.attribute[:]
    one.attribute.extend(kept)
    if one.op_type == "Upsample":  # what Resize became
        one.op_type = "Resize"
        fixed = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        one.attribute.extend(helper.make_attribute(key, value) for key, value in fixed.items())
    names = ["x", "scales" if sizes is None else "sizes"]
    graph = helper.make_graph(
        [one],
        "resize",
        [helper.make_value_info(n, onnx.TypeProto()) for n in names],
        [helper.make_value_info(node.output[0], onnx.TypeProto())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", max(opset, 11))])
    second = np.asarray(scales, np.float32) if sizes is None else np.asarray(sizes, np.int64)
    return ReferenceEvaluator(model).run(None, {"x": x, names[1]: second})[0]


def _kept_ratio(before: list[int], sizes: np.ndarray, policy: bytes) -> np.ndarray:
    """Sizes of the resized axes, of which one policy takes all as they are, the others one ratio for all."""
    if policy == b"stretch":
        return sizes
    ratios = sizes / np.asarray(before)
    ratio = ratios.min() if policy == b"not_larger" else ratios.max()
    return np.floor(ratio * np.asarray(before) + 0.5).astype(np.int64)


def read(reader, node) -> None:
    """ONNX Resize and Upsample without regions of interest."""
    x = reader.operand(node, 0)
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    mode = attributes.get("mode", b"nearest")
    if attributes.get("coordinate_transformation_mode") == b"tf_crop_and_resize":
        raise reader.unsupported(node, "regions of interest; resize the whole image")
    old = node.op_type == "Upsample" or reader.opset() < 11
    given = [
        None if v is None else np.asarray(v) for v in (reader.constant(node, k) for k in ((1,) if old else (2, 3)))
    ]
    scales = given[0] if given[0] is not None and given[0].size else None
    sizes = given[1] if len(given) > 1 and given[1] is not None and given[1].size else None
    if (scales is None) == (sizes is None):
        raise reader.unsupported(node, "either scales or sizes are needed, as constants")
    axes = [k % x.rank for k in attributes.get("axes", range(x.rank))]
    if sizes is not None:
        sizes = _kept_ratio([x.shape[k] for k in axes], sizes, attributes.get("keep_aspect_ratio_policy", b"stretch"))
    for k, axis in enumerate(axes):
        d = x.shape[axis]
        scale = None if scales is None else float(scales[k])
        size = None if sizes is None else int(sizes[k])
        if scale == 1.0 or size == d:
            continue
        length = size or int(d * scale)
        reader.length(node, length)
        if length * (1 if mode == b"nearest" else d) > MOST_COEFFICIENTS:
            raise reader.unsupported(node, f"an axis of {d} made {length} long; resize it less")
        if mode == b"nearest":
            places = _evaluate(
                node, reader.opset(), np.arange(d, dtype=np.float32), [scale], None if size is None else [size]
            )
            indices = [np.arange(n) for n in x.shape]
            indices[axis] = places.astype(np.int64)
            x = reader.indexed(node, x, indices)
            continue
        matrix = _evaluate(
            node, reader.opset(), np.eye(d, dtype=np.float32), [scale, 1.0], None if size is None else [size, d]
        )
        order = [k for k in range(x.rank) if k != axis] + [axis]
        last = reader.transposed(node, x, order)
        y = reader.product(node, last, reader.fixed(np.ascontiguousarray(matrix.T)))
        x = reader.transposed(node, y, [order.index(k) for k in range(x.rank)])
    reader.give(node, x)


READERS = {"Resize": read, "Upsample": read}
