"""Models, or layers of a model, that run in float32: bit for bit on every board, near onnxruntime, and said aloud."""

import json

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

RNG = np.random.default_rng(5)


def weights(name, *shape):
    return numpy_helper.from_array(RNG.normal(0, 0.5, shape).astype(np.float32), name)


def save(path, nodes, inits, x_shape, y_shape):
    ports = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in (("x", x_shape), ("y", y_shape))]
    graph = helper.make_graph(nodes, "net", ports[:1], ports[1:], inits)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)


@pytest.fixture
def float_path(tmp_path):
    """Convolutions, normalisation, attention-like arithmetic and a softmax; nothing is quantised."""
    n = helper.make_node
    nodes = [
        n("Conv", ["x", "w1", "b1"], ["a"], name="conv1", pads=[1, 1, 1, 1]),
        n("Elu", ["a"], ["b"], name="elu"),
        n("MaxPool", ["b"], ["c"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        n("Conv", ["c", "w2"], ["d"], name="depthwise", group=4),
        n("Gelu", ["d"], ["e"], name="gelu"),
        n("Flatten", ["e"], ["f"], name="flatten"),
        n("LayerNormalization", ["f", "g", "h"], ["i"], name="norm"),
        n("Gemm", ["i", "w3", "b3"], ["j"], name="fc", transB=1),
        n("Softmax", ["j"], ["y"], name="softmax"),
    ]
    inits = [weights("w1", 4, 1, 3, 3), weights("b1", 4), weights("w2", 4, 1, 3, 3)]
    inits += [weights("g", 16), weights("h", 16), weights("w3", 5, 16), weights("b3", 5)]
    path = tmp_path / "float.onnx"
    save(path, nodes, inits, ["n", 1, 8, 8], ["n", 5])
    return path


def mixed(path):
    """Integer layers around one in float32, and what it gives also as an output in float."""
    n, q = helper.make_node, numpy_helper.from_array
    scales = {"xs": 0.05, "as": 0.1, "cs": 0.1, "ws": 0.01}
    inits = [q(np.float32(v), k) for k, v in scales.items()] + [q(np.uint8(128), "z"), q(np.int8(0), "wz")]
    levels = RNG.integers(-127, 128, (3, 2, 1, 1)).astype(np.int8)
    inits += [q(levels, "w"), q(RNG.integers(-127, 128, (3, 3, 1, 1)).astype(np.int8), "v"), weights("m", 3, 3, 1, 1)]
    nodes = [
        n("QuantizeLinear", ["x", "xs", "z"], ["xq"]), n("DequantizeLinear", ["xq", "xs", "z"], ["xd"]),
        n("DequantizeLinear", ["w", "ws", "wz"], ["wd"]), n("Conv", ["xd", "wd"], ["a"], name="first"),
        n("QuantizeLinear", ["a", "as", "z"], ["aq"]), n("DequantizeLinear", ["aq", "as", "z"], ["ad"]),
        n("Conv", ["ad", "m"], ["b"], name="middle"), n("Mish", ["b"], ["c"], name="mish"),
        n("QuantizeLinear", ["c", "cs", "z"], ["cq"]), n("DequantizeLinear", ["cq", "cs", "z"], ["cd"]),
        n("DequantizeLinear", ["v", "ws", "wz"], ["vd"]), n("Conv", ["cd", "vd"], ["d"], name="last"),
        n("QuantizeLinear", ["d", "as", "z"], ["dq"]), n("DequantizeLinear", ["dq", "as", "z"], ["y"]),
    ]  # fmt: skip
    save(path, nodes, inits, [1, 2, 4, 4], [1, 3, 4, 4])
    return path


def test_float_model_is_the_same_on_every_board(lamella, float_path, tmp_path):
    boards = [
        word for name in ("host", "qemu_microbit", "qemu_mps2_an386", "qemu_riscv32_virt") for word in ("--board", name)
    ]
    code, out, err = lamella("verify", float_path, *boards, "--json", tmp_path / "v.json")
    result = json.loads((tmp_path / "v.json").read_text())
    assert (code, result["bit_exact"], len(result["boards"])) == (0, True, 4), err
    assert (
        result["onnxruntime"]["max_float_difference"] < 1e-5 and result["onnxruntime"]["max_level_difference"] is None
    )
    assert "9 operators of the file run in float32" in err and "'conv1' (Conv)" in err and "--calibrate" in err
    assert "None" not in out


def test_run_gives_the_real_numbers(lamella, float_path, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    x = RNG.normal(0, 1, (3, 1, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    code, _, err = lamella(
        "run", float_path, "--board", "host", "--inputs", tmp_path / "x.npz", "--outputs", tmp_path / "y.npz"
    )
    assert code == 0, err
    with np.load(tmp_path / "y.npz") as found:
        assert found.files == ["y"] and found["y"].dtype == np.float32
        theirs = onnxruntime.InferenceSession(str(float_path)).run(None, {"x": x})[0]
        np.testing.assert_allclose(found["y"], theirs, rtol=1e-4, atol=1e-6)


def test_every_command_takes_it(lamella, float_path, tmp_path):
    for command, extra in (
        ("generate", ["--out", tmp_path / "fw"]),
        ("report", ["--out", tmp_path / "r.html"]),
        ("footprint", ["--json", tmp_path / "f.json"]),
        ("analyze", ["--json", tmp_path / "a.json"]),
    ):
        code, _, err = lamella(command, float_path, "--board", "qemu_microbit", *extra)
        assert code == 0, (command, err)
    found = json.loads((tmp_path / "a.json").read_text())
    assert [entry["node"] for entry in found["in_float"]][:2] == ["'conv1' (Conv)", "'elu' (Elu)"]
    assert found["weight_bytes"] == 4 * found["weights"] == 4 * (4 * 9 + 4 + 4 * 9 + 32 + 80 + 5 + 1)  # 1: epsilon
    assert found["inputs"][0]["scale"] is None and found["estimated_instructions"] > 10_000
    header = (tmp_path / "fw" / "model" / "net.h").read_text()
    assert "const float *in, float *out" in header and "SCALE" not in header.replace("SCALE *", "")


def test_it_can_be_forbidden(lamella, float_path, tmp_path):
    for path, words in ((float_path, "a float model"), (mixed(tmp_path / "mixed.onnx"), "'middle' (Conv)")):
        code, _, err = lamella("analyze", path, "--board", "host", "--no-float")
        assert code == 3 and words in err


def test_one_layer_between_layers_of_integers(lamella, tmp_path):
    path = mixed(tmp_path / "mixed.onnx")
    boards = ["--board", "host", "--board", "qemu_microbit"]
    code, _, err = lamella("verify", path, *boards, "--json", tmp_path / "v.json")
    result = json.loads((tmp_path / "v.json").read_text())
    assert code == 0 and result["bit_exact"], err
    assert result["onnxruntime"]["max_layer_difference"] <= 1
    lamella("analyze", path, "--board", "host", "--json", tmp_path / "a.json")
    found = json.loads((tmp_path / "a.json").read_text())
    assert [entry["node"] for entry in found["in_float"]] == ["'middle' (Conv)", "'mish' (Mish)"]
    kinds = [layer["op"] for layer in found["layers"]]
    assert kinds == ["conv2d", "float_dequantize", "float_conv2d", "float_unary", "float_quantize", "conv2d"]
