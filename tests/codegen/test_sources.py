"""Model files of other tools: the MLPerf Tiny networks as TFLite and as QDQ ONNX, against two outside witnesses."""

from pathlib import Path

import numpy as np
import pytest
from tflite_micro import runtime

from lamella import pipeline, vectors, verify, witness
from lamella.codegen import import_onnx, reference, sources
from lamella.errors import LamellaError, UnsupportedError

MODELS = Path(__file__).parents[1] / "models"
DSCNN, RESNET = (MODELS / f"mlperf_tiny_{name}_int8.tflite" for name in ("dscnn_kws", "resnet8_cifar10"))


@pytest.mark.parametrize("path", sorted([*MODELS.glob("*.tflite"), *MODELS.glob("*.onnx")]), ids=lambda p: p.name)
def test_whole_file_runs_bit_for_bit_and_near_onnxruntime(path):
    compiled = pipeline.compile_model(path, "host")
    graph = import_onnx.read(path)
    raw = vectors.seeded(graph)
    assert verify.verify_board(compiled, raw, reference.run(graph, raw)).mismatches == 0
    layers = witness.layers(path, raw)
    assert len(layers) >= 12
    assert max(layers.values()) <= 1


def test_tflite_and_its_conversion_to_onnx_are_the_same_network():
    for path in (DSCNN, RESNET):
        ours, theirs = import_onnx.read(path), import_onnx.read(path.with_name(path.stem + "_qdq.onnx"))
        raw = vectors.seeded(ours)
        (name,), (other,) = (
            reference.run(g, {g.inputs[0].name: next(iter(raw.values()))}).values() for g in (ours, theirs)
        )
        # tf2onnx derives a bias scale of its own here and there; nothing else differs.
        assert (name != other).mean() < 0.01


def test_input_and_output_are_those_of_the_file():
    graph = import_onnx.read(RESNET)
    (x,), (y,) = graph.inputs, graph.outputs
    assert (x.name, graph.tensor_of(x).shape, x.dtype, x.raw_dtype) == ("input_1_int8", (1, 32, 32, 3), "int8", "int8")
    assert (y.name, graph.tensor_of(y).shape, y.dtype) == ("Identity_int8", (1, 10), "int8")
    # One channel: changing the layout is no work.
    compiled = pipeline.compile_model(DSCNN, "host")
    assert "transpose" not in {node.op for node in compiled.graph.nodes}


@pytest.mark.parametrize("path", [DSCNN, RESNET], ids=["dscnn", "resnet8"])
def test_top_class_is_that_of_tflite_micro(path):
    """A level here and there in the middle moves probabilities a little, so that only a close second may win."""
    graph = import_onnx.read(path)
    rng = np.random.default_rng(7)
    shape = graph.tensor_of(graph.inputs[0]).shape
    rough = np.cumsum(rng.normal(0, 20, (24, *shape[1:])), axis=1) + rng.normal(0, 50, (24, 1, 1, shape[3]))
    x = np.clip(rough, -128, 127).astype(np.int8)
    ours = next(iter(reference.run(graph, {graph.inputs[0].name: x}).values()))
    interpreter = runtime.Interpreter.from_bytes(path.read_bytes())
    theirs = []
    for sample in x:
        interpreter.set_input(sample[None], 0)
        interpreter.invoke()
        theirs.append(interpreter.get_output(0)[0])
    theirs = np.array(theirs)
    ordered = np.sort(theirs.astype(int), axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > 40
    assert clear.sum() >= 12
    assert np.array_equal(ours.argmax(1)[clear], theirs.argmax(1)[clear])
    assert (ours == theirs).mean() > 0.8


def test_damaged_tflite_files_give_one_of_our_errors_or_a_graph(tmp_path):
    raw = DSCNN.read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "m.tflite"
    kept = 0
    for k in range(60):
        data = bytearray(raw)
        if k % 4 == 0:
            data = data[: int(rng.integers(8, len(data)))]
        for _ in range(0 if k % 4 == 0 else 6):
            # Most of the structure stands at both ends of the file, weights in the middle.
            at = rng.choice([rng.integers(8, 1000), rng.integers(len(data) - 12000, len(data))])
            data[at] ^= 1 << rng.integers(0, 8)
        path.write_bytes(bytes(data))
        try:
            import_onnx.read(path)
            kept += 1
        except LamellaError as error:
            assert str(path) in str(error)
    assert kept < 60


def test_kinds_are_known_by_their_first_bytes(tmp_path):
    copy = tmp_path / "model.bin"
    copy.write_bytes(DSCNN.read_bytes())
    assert sources.parse(copy).graph.name == "model"
    text = tmp_path / "model.tflite"
    text.write_text("not a model")
    with pytest.raises(LamellaError, match="not an ONNX file"):
        sources.parse(text)
    with pytest.raises(UnsupportedError, match="a float model"):
        import_onnx.read(float_model(tmp_path), floats=False)


def float_model(folder):
    """A file with a float convolution."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    w = numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "w")
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 1, 4, 4]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "float", [x], [y], [w])
    path = folder / "float.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path
