"""Weights in a file beside the model, as exporters write them, and files that point elsewhere or are damaged."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lamella.codegen import import_onnx, reference
from lamella.errors import UsageError

X = np.random.default_rng(1).normal(0, 1, (2, 6)).astype(np.float32)


def model() -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    inits = [
        numpy_helper.from_array(rng.normal(0, 1, s).astype(np.float32), n) for n, s in (("w", (6, 4)), ("b", (4,)))
    ]
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", d]) for n, d in (("x", 6), ("y", 4))]
    graph = helper.make_graph([helper.make_node("Gemm", ["x", "w", "b"], ["y"])], "net", ports[:1], ports[1:], inits)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


@pytest.fixture
def path(tmp_path):
    """A model whose weights lie in weights.bin beside it."""
    file = tmp_path / "model.onnx"
    onnx.save_model(model(), file, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").stat().st_size >= 4 * 28
    return file


def test_weights_beside_the_model_are_read(path, tmp_path):
    whole = tmp_path / "whole.onnx"
    onnx.save(model(), whole)
    results = [reference.run(import_onnx.read(p), {"x": X})["y"] for p in (path, whole)]
    np.testing.assert_array_equal(*results)


def pointing(path, **entries):
    """The same file, its first initializer pointing elsewhere."""
    changed = onnx.load_model(path, load_external_data=False)
    tensor = changed.graph.initializer[0]
    old = {e.key: e.value for e in tensor.external_data} | {k: v for k, v in entries.items() if v is not None}
    del tensor.external_data[:]
    for key, value in old.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    path.write_bytes(changed.SerializeToString())


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"location": "/etc/passwd"}, "outside"),
        ({"location": "../secret.bin"}, "outside"),
        ({"location": "inner/../../secret.bin"}, "outside"),
        ({"location": "link.bin"}, "outside"),
        ({"location": "linked/secret.bin"}, "outside"),
        ({"location": ""}, "outside"),
        ({"location": "."}, "not there"),
        ({"location": "none.bin"}, "not there"),
        ({"offset": "-4"}, "cannot be read"),
        ({"offset": "9999999999999999999999"}, "cannot be read"),
        ({"offset": "100"}, "cannot be read"),
        ({"offset": "many"}, "cannot be read"),
        ({"length": "8"}, "cannot be read"),
        ({"length": "-1"}, "cannot be read"),
    ],
)
def test_files_that_point_elsewhere_are_refused(path, tmp_path, entries, words):
    outside = tmp_path.parent / f"{tmp_path.name}_outside"
    outside.mkdir()
    for folder in (tmp_path.parent, outside):
        (folder / "secret.bin").write_bytes(bytes(200))
    (tmp_path / "link.bin").symlink_to(outside / "secret.bin")
    (tmp_path / "linked").symlink_to(outside)
    pointing(path, **entries)
    with pytest.raises(UsageError, match=words) as caught:
        import_onnx.read(path)
    assert "initializer 'w'" in str(caught.value) and str(path) in str(caught.value)
