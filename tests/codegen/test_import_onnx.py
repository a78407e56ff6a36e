"""Reading ONNX: random networks as quantize_static writes them, against onnxruntime; forms by hand; what is refused."""

import numpy as np
import onnx
import pytest
from draw import Draw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from random_networks import VARIANTS, float_model, quantize

from lamella import pipeline, vectors, verify, witness
from lamella.codegen import import_onnx, passes, reference
from lamella.errors import LamellaError, UnsupportedError, UsageError

SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@SETTINGS
@given(data=st.data(), variant=st.sampled_from(VARIANTS), seed=st.integers(0, 2**16))
def test_random_networks_agree_with_onnxruntime_layer_by_layer(tmp_path_factory, data, variant, seed):
    """Each layer, on onnxruntime's own inputs, at most one level apart; folding and fusing change no byte;
    the C on this computer gives the same bytes."""
    model = float_model(Draw(lambda low, high: data.draw(st.integers(low, high))))
    path = tmp_path_factory.mktemp("random") / "model.onnx"
    quantize(model, path, variant, seed)
    graph = import_onnx.read(path)
    raw = vectors.seeded(graph, seed)
    found = witness.layers(path, raw)
    assert max(found.values()) <= 1, found
    expected = reference.run(graph, raw)
    compiled = pipeline.compile_model(path, "host", ["flash", "speed", "ram", "balanced"][seed % 4], graph=graph)
    lowered = reference.run(compiled.graph, raw)
    for port in graph.outputs:
        assert np.array_equal(expected[port.name], lowered[port.name])
    assert verify.verify_board(compiled, raw, expected).mismatches == 0


def qdq(nodes, inits, x_shape=(1, 2, 4, 4), y_shape=(1, 2, 4, 4), x_scale=0.1, y_scale=0.1, y_zero=0, kind=np.uint8):
    """x -> Q -> DQ -> nodes (from xd to yf) -> Q -> DQ -> y."""

    def scalar(name, value, dtype=np.float32):
        return numpy_helper.from_array(np.array(value, dtype), name)

    q_nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        *nodes,
        helper.make_node("QuantizeLinear", ["yf", "ys", "yz"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "ys", "yz"], ["y"]),
    ]
    scales = [scalar("xs", x_scale), scalar("xz", 3, kind), scalar("ys", y_scale), scalar("yz", y_zero, kind)]
    graph = helper.make_graph(
        q_nodes,
        "by hand",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x_shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, y_shape)],
        [*scales, *inits],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    return model


def conv_parts(levels, scale=0.05, weight=None):
    """Initialisers and nodes of a convolution xd -> cf."""
    levels = np.asarray(levels, np.int8)
    inits = [
        numpy_helper.from_array(levels, "w"),
        numpy_helper.from_array(np.float32(scale), "ws"),
        numpy_helper.from_array(np.int8(0), "wz"),
    ]
    return inits, helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"])


def read(tmp_path, model):
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    return import_onnx.read(path, floats=False), path


W = np.arange(-9, 9).reshape(2, 1, 3, 3)


def depthwise(result, **attributes):
    return helper.make_node("Conv", ["xd", "wd"], [result], name="dw", group=2, pads=[1, 1, 1, 1], **attributes)


def test_relu_behind_pooling_becomes_the_range_of_the_convolution(tmp_path):
    """conv -> maxpool -> relu, the order of torch's tutorials: one fused node is left."""
    inits, dq = conv_parts(W)
    nodes = [
        dq,
        depthwise("cf"),
        helper.make_node("MaxPool", ["cf"], ["pf"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Relu", ["pf"], ["yf"]),
    ]
    graph, path = read(tmp_path, qdq(nodes, inits, y_shape=(1, 2, 2, 2), y_zero=100))
    lowered = passes.lower(graph, pipeline.target_of(pipeline.boards.load("host"), "balanced"), "balanced")
    assert [node.op for node in lowered.nodes] == ["conv2d"]
    assert lowered.nodes[0].attributes.requant.low == 100
    raw = vectors.seeded(graph)
    assert np.array_equal(reference.run(graph, raw)["y"], reference.run(lowered, raw)["y"])
    assert max(witness.layers(path, raw).values()) <= 1


def test_layers_along_a_sequence_fuse_like_those_of_images(tmp_path):
    """conv -> quantised -> maxpool -> quantised -> conv along the length: two fused nodes, no view in between."""
    inits, dq = conv_parts(np.arange(-3, 3).reshape(2, 1, 3))
    conv = {"group": 2, "pads": [1, 1]}
    nodes = [
        dq,
        helper.make_node("Conv", ["xd", "wd"], ["cf"], name="first", **conv),
        helper.make_node("Relu", ["cf"], ["rf"]),
        helper.make_node("QuantizeLinear", ["rf", "ys", "yz"], ["rq"]),
        helper.make_node("DequantizeLinear", ["rq", "ys", "yz"], ["rd"]),
        helper.make_node("MaxPool", ["rd"], ["pf"], kernel_shape=[2], strides=[2]),
        helper.make_node("Conv", ["pf", "wd"], ["yf"], name="second", **conv),
    ]
    model = qdq(nodes, inits, x_shape=("N", 2, 12), y_shape=("N", 2, 6), y_zero=3)
    graph, path = read(tmp_path, model)
    lowered = passes.lower(graph, pipeline.target_of(pipeline.boards.load("host"), "balanced"), "balanced")
    assert [node.op for node in lowered.nodes] == ["reshape", "conv2d", "conv2d", "reshape"]
    assert [node.name for node in lowered.nodes[1:3]] == ["first", "second"]
    raw = vectors.seeded(graph)
    assert np.array_equal(reference.run(graph, raw)["y"], reference.run(lowered, raw)["y"])
    assert max(witness.layers(path, raw).values()) <= 1


def test_identity_between_convolution_and_relu_is_seen_through(tmp_path):
    inits, dq = conv_parts(W)
    nodes = [
        dq,
        depthwise("cf"),
        helper.make_node("Identity", ["cf"], ["i"]),
        helper.make_node("Relu", ["i"], ["yf"]),
    ]
    graph, path = read(tmp_path, qdq(nodes, inits, y_zero=100))
    assert [node.op for node in graph.nodes] == ["conv2d"] and graph.nodes[0].attributes.requant.low == 100
    assert max(witness.layers(path, vectors.seeded(graph)).values()) <= 1


def test_padding_moves_into_the_convolution_only_if_it_is_zero(tmp_path):
    for value, expected in ((0.0, ["conv2d"]), (1.0, ["pad2d", "conv2d"])):
        inits, dq = conv_parts(W)
        inits += [
            numpy_helper.from_array(np.array([0, 0, 1, 0, 0, 0, 1, 2], np.int64), "pads"),
            numpy_helper.from_array(np.float32(value), "v"),
        ]
        nodes = [
            dq,
            helper.make_node("Pad", ["xd", "pads", "v"], ["pd"]),
            helper.make_node("Conv", ["pd", "wd"], ["yf"], group=2, pads=[0, 1, 0, 0]),
        ]
        graph, path = read(tmp_path, qdq(nodes, inits, y_shape=(1, 2, 4, 5)))
        lowered = passes.lower(graph, pipeline.target_of(pipeline.boards.load("host"), "balanced"), "balanced")
        assert [node.op for node in lowered.nodes] == expected
        raw = vectors.seeded(graph)
        assert np.array_equal(reference.run(graph, raw)["y"], reference.run(lowered, raw)["y"])
        assert max(witness.layers(path, raw).values()) <= 1


def test_weights_quantised_in_the_file_are_read(tmp_path):
    """float initialiser -> QuantizeLinear -> DequantizeLinear, per channel, with a float bias."""
    w = np.random.default_rng(0).normal(0, 1, (3, 2, 2, 3)).astype(np.float32)
    inits = [
        numpy_helper.from_array(w, "wf"),
        numpy_helper.from_array(np.array([0.02, 0.01, 0.03], np.float32), "ws"),
        numpy_helper.from_array(np.zeros(3, np.int8), "wz"),
        numpy_helper.from_array(np.array([1.0, -2.0, 0.5], np.float32), "b"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["wf", "ws", "wz"], ["wq"], axis=0),
        helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["wd"], axis=0),
        helper.make_node("Conv", ["xd", "wd", "b"], ["yf"]),
    ]
    graph, path = read(tmp_path, qdq(nodes, inits, y_shape=(1, 3, 3, 2), y_zero=-20, kind=np.int8))
    assert graph.nodes[0].attributes.levels.shape == (3, 2, 2, 3)
    assert graph.inputs[0].raw_dtype == "int8"
    assert max(witness.layers(path, vectors.seeded(graph)).values()) <= 1


def test_integer_input_and_output_are_taken_as_they_are(tmp_path):
    scale, zero = numpy_helper.from_array(np.float32(0.1), "s"), numpy_helper.from_array(np.int8(5), "z")
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["xd"]),
        helper.make_node("Relu", ["xd"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "s", "z"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "integers",
        [helper.make_tensor_value_info("x", TensorProto.INT8, [1, 6])],
        [helper.make_tensor_value_info("y", TensorProto.INT8, [1, 6])],
        [scale, zero],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    graph, _ = read(tmp_path, model)
    assert (graph.inputs[0].dtype, graph.outputs[0].dtype) == ("int8", "int8")
    x = np.array([[-128, -1, 4, 5, 6, 127]], np.int8)
    assert reference.run(graph, {"x": x})["y"].tolist() == [[5, 5, 5, 5, 6, 127]]


def test_symbolic_batch_is_one_and_other_symbolic_axes_are_refused(tmp_path):
    nodes = [helper.make_node("Relu", ["xd"], ["yf"])]
    graph, _ = read(tmp_path, qdq(nodes, [], x_shape=("N", 2, 4, 4), y_shape=("N", 2, 4, 4)))
    assert graph.tensor_of(graph.inputs[0]).shape == (1, 2, 4, 4)
    with pytest.raises(UnsupportedError, match="symbolic axis"):
        read(tmp_path, qdq(nodes, [], x_shape=(1, 2, "h", 4), y_shape=(1, 2, "h", 4)))


def test_shape_arithmetic_behind_a_reshape_is_folded(tmp_path):
    """What torch exports for x.view(x.size(0), -1) with a symbolic batch."""
    inits = [numpy_helper.from_array(np.int64(0), "zero"), numpy_helper.from_array(np.array([-1], np.int64), "minus"),
             numpy_helper.from_array(np.array([0], np.int64), "axes")]  # fmt: skip
    nodes = [
        helper.make_node("Shape", ["xd"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "axes"], ["n1"]),
        helper.make_node("Concat", ["n1", "minus"], ["target"], axis=0),
        helper.make_node("Reshape", ["xd", "target"], ["yf"]),
    ]
    graph, _ = read(tmp_path, qdq(nodes, inits, x_shape=("N", 2, 4, 4), y_shape=("N", 32)))
    assert graph.tensor_of(graph.outputs[0]).shape == (1, 32)


def overflow():
    inits, dq = conv_parts(np.full((1, 2, 1, 1), 127))
    inits.append(numpy_helper.from_array(np.array([2**31 - 1], np.int32), "b"))
    inits.append(numpy_helper.from_array(np.float32(0.1) * np.float32(0.05), "bs"))
    nodes = [
        dq,
        helper.make_node("DequantizeLinear", ["b", "bs"], ["bd"]),
        helper.make_node("Conv", ["xd", "wd", "bd"], ["yf"], name="big"),
    ]
    return qdq(nodes, inits, y_shape=(1, 1, 4, 4))


def nan_scale():
    return qdq([helper.make_node("Relu", ["xd"], ["yf"])], [], x_scale=np.nan)


def missing_quantisation():
    inits, dq = conv_parts(W)
    return qdq(
        [dq, depthwise("cf"), helper.make_node("Softmax", ["cf"], ["sf"]), helper.make_node("Relu", ["sf"], ["yf"])],
        inits,
    )


def unknown_attribute():
    return qdq(
        [
            helper.make_node("Conv", ["xd", "wd"], ["yf"], group=2, strides=[1, 1, 1], pads=[1] * 4),
        ],
        conv_parts(W)[0],
    )


def batch_merged():
    inits = [numpy_helper.from_array(np.array([2, 16], np.int64), "s")]
    return qdq([helper.make_node("Reshape", ["xd", "s"], ["yf"])], inits, y_shape=(2, 16))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (overflow, UnsupportedError, "big.*32 bits"),
        (nan_scale, UsageError, "positive and finite"),
        (missing_quantisation, UnsupportedError, "dw.*without being quantised"),
        (unknown_attribute, LamellaError, "m.onnx"),
        (batch_merged, UnsupportedError, "batch"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path, make, error, words):
    with pytest.raises(error, match=words):
        read(tmp_path, make())


def test_truncations_and_bit_flips_never_give_another_exception(tmp_path):
    """Damaged files give one of our errors, or still a graph."""
    inits, dq = conv_parts(W)
    raw = qdq([dq, depthwise("yf")], inits).SerializeToString()
    rng = np.random.default_rng(0)
    path = tmp_path / "m.onnx"
    for k in range(300):
        data = bytearray(raw)
        if k % 2:
            data = data[: rng.integers(0, len(data))]
        else:
            for _ in range(3):
                data[rng.integers(0, len(data))] ^= 1 << rng.integers(0, 8)
        path.write_bytes(bytes(data))
        try:
            import_onnx.read(path)
        except LamellaError:
            pass


@pytest.mark.parametrize(
    ("shape", "pooled", "said"),
    [
        ((1, 1, 65536, 4), (1, 1, 65535, 3), "'pool'.* an axis of 65,536"),
        ((1, 64, 600, 600), (1, 64, 599, 599), "16777216 elements"),
    ],
)
def test_more_than_kernels_can_count_is_refused_by_name(tmp_path, shape, pooled, said):
    """Descriptors say sizes in 16 bits; fuzzing found a firmware that did not compile, after minutes of planning."""
    nodes = [helper.make_node("MaxPool", ["xd"], ["yf"], name="pool", kernel_shape=(2, 2))]
    with pytest.raises(UnsupportedError, match=said):
        read(tmp_path, qdq(nodes, [], shape, pooled))


def test_where_sizes_have_32_bits_axes_may_be_long(tmp_path):
    nodes = [helper.make_node("Flatten", ["xd"], ["ff"]), helper.make_node("Relu", ["ff"], ["yf"])]
    graph, path = read(tmp_path, qdq(nodes, [], (1, 2, 200, 200), (1, 80000)))
    raw = vectors.seeded(graph)
    compiled = pipeline.compile_model(path, "host", graph=graph)
    assert verify.verify_board(compiled, raw, reference.run(graph, raw)).mismatches == 0


def test_dynamically_quantised_models_are_told_what_to_do(tmp_path):
    """What quantize_dynamic writes: ranges are measured as the model runs."""
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"], name="measure"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], name="back"),
    ]
    ports = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, 4))] for n in ("x", "y")]
    path = tmp_path / "m.onnx"
    onnx.save(
        helper.make_model(helper.make_graph(nodes, "g", *ports), opset_imports=[helper.make_opsetid("", 17)]), path
    )
    with pytest.raises(UnsupportedError, match=r"'measure' \(DynamicQuantizeLinear\).*--calibrate.*not dynamically"):
        import_onnx.read(path)
