"""Bad input gives one clear message, the exit code of the contract, and nothing half-written."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_model import small_model

from lamella import cli


def save(path, nodes, x_shape, y_shape, inits=(), opset=17):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x_shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, y_shape)],
        list(inits),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 9
    onnx.save(model, path)


def not_onnx(path, good):
    path.write_text("hello")


def empty(path, good):
    path.write_bytes(b"")


def truncated(path, good):
    path.write_bytes(good.read_bytes()[: len(good.read_bytes()) // 3])


def absent(path, good):
    pass


def folder(path, good):
    path.mkdir()


def unsupported(path, good):
    save(path, [helper.make_node("LSTM", ["x"], ["y"], name="memory")], [1, 4, 4], [1, 3])


def foreign_domain(path, good):
    save(path, [helper.make_node("Magic", ["x"], ["y"], domain="com.example", name="magic")], [1, 4], [1, 4])


def symbolic(path, good):
    save(path, [helper.make_node("Relu", ["x"], ["y"])], [1, "n"], [1, "n"])


def nan_weights(path, good):
    weights = numpy_helper.from_array(np.full((4, 4), np.nan, np.float32), "w")
    save(path, [helper.make_node("Gemm", ["x", "w"], ["y"])], [1, 4], [1, 4], [weights])


def float_model(path, good):
    weights = numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    save(path, [helper.make_node("Gemm", ["x", "w"], ["y"])], [1, 4], [1, 4], [weights])


def cyclic(path, good):
    save(
        path,
        [
            helper.make_node("Relu", ["b"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Relu", ["x"], ["y"]),
        ],
        [1, 4],
        [1, 4],
    )


def nan_scale(path, good):
    model = onnx.load(good)
    for tensor in model.graph.initializer:
        if tensor.name == "conv2_ws":
            array = numpy_helper.to_array(tensor).copy()
            array[1] = np.nan
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    onnx.save(model, path)


def external(path, good):
    model = onnx.load(good)
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../etc/passwd"
    path.write_bytes(model.SerializeToString())


def huge(path, good):
    model = onnx.load(good)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 2**40
    path.write_bytes(model.SerializeToString())


def deep(path, good):
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["t0"]),
    ]
    nodes += [helper.make_node("Relu", [f"t{k}"], [f"t{k + 1}"]) for k in range(3000)]
    nodes += [
        helper.make_node("QuantizeLinear", ["t3000", "s", "z"], ["p"]),
        helper.make_node("DequantizeLinear", ["p", "s", "z"], ["y"]),
    ]
    inits = [numpy_helper.from_array(np.float32(1), "s"), numpy_helper.from_array(np.uint8(0), "z")]
    save(path, nodes, [1, 4], [1, 4], inits)


BAD = {
    not_onnx: (2, "not an ONNX file"),
    empty: (2, "not an ONNX file"),
    truncated: (2, "bad.onnx"),
    absent: (2, "no such file"),
    folder: (2, "no such file"),
    unsupported: (3, "'memory' (LSTM)"),
    foreign_domain: (3, "'magic' (com.example.Magic)"),
    symbolic: (3, "symbolic axis"),
    nan_weights: (2, "NaN"),
    cyclic: (2, "bad.onnx"),
    nan_scale: (2, "positive and finite"),
    external: (2, "outside the model's folder"),
    huge: (3, "more than"),
    deep: (2, "too deeply"),
}


@pytest.mark.parametrize("make", BAD, ids=lambda f: f.__name__)
@pytest.mark.parametrize("command", ["generate", "verify", "footprint", "analyze"])
def test_bad_model(lamella, model_path, tmp_path, make, command):
    path = tmp_path / "bad.onnx"
    make(path, model_path)
    before = sorted(tmp_path.iterdir())
    extra = ["--out", tmp_path / "fw"] if command == "generate" else []
    code, out, err = lamella(command, path, "--board", "host", *extra, "--json", tmp_path / "result.json")
    expected, words = BAD[make]
    assert (code, out) == (expected, "")
    assert words in err and "bad.onnx" in err and len(err) < 900
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frobnicate"], "frobnicate"),
        ([], "COMMAND"),
        (["generate", "MODEL", "--board", "host"], "--out"),
        (["generate", "MODEL", "--board", "nosuch", "--out", "TMP/x"], "nosuch"),
        (["generate", "MODEL", "--board", "qemu_mps2_an368", "--out", "TMP/x"], "qemu_mps2_an386"),
        (["generate", "MODEL", "--board", "host", "--out", "TMP/x", "--name", "not a name"], "C identifier"),
        (["generate", "MODEL", "--board", "host", "--out", "TMP/x", "--name", "int"], "C identifier"),
        (["generate", "MODEL", "--board", "host", "--out", "TMP/x", "--optimize", "size"], "size"),
        (["generate", "MODEL", "--board", "host", "--out", "TMP/x", "--calibrate", "TMP/none.npz"], "none.npz"),
        (
            ["run", "MODEL", "--board", "nucleo_f446re", "--inputs", "TMP/x.npz", "--outputs", "TMP/y.npz"],
            "nothing here can run it",
        ),
        (["verify", "MODEL", "--board", "nucleo_f446re"], "nothing here can run it"),
        (["verify", "MODEL", "--board", "host", "--limit", "0"], "at least one"),
        (["verify", "MODEL", "--board", "host", "--firmware", "TMP"], "small_net.h"),
        (["footprint", "MODEL", "--board", "host", "--budget", "flash=many"], "flash=64k"),
        (["footprint", "MODEL", "--board", "host", "--baseline", "TMP/none.json"], "none.json"),
        (["run", "MODEL", "--board", "host", "--inputs", "TMP/none.npz", "--outputs", "TMP/y.npz"], "none.npz"),
    ],
)
def test_bad_usage(lamella, model_path, tmp_path, arguments, words):
    arguments = [str(model_path) if a == "MODEL" else a.replace("TMP", str(tmp_path)) for a in arguments]
    code, out, err = lamella(*arguments)
    assert code == 2 and words in err and out == ""
    assert list(tmp_path.iterdir()) == []


GOOD = np.zeros((2, 1, 12, 12), np.float32)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"z": GOOD}, "inputs are ['x']"),
        ({}, "inputs are ['x']"),
        ({"x": GOOD, "y": GOOD}, "inputs are ['x']"),
        ({"x": GOOD[:, :, :11]}, "(samples, 1, 12, 12)"),
        ({"x": GOOD[0]}, "(samples, 1, 12, 12)"),
        ({"x": GOOD.astype(np.float64)}, "wants float32"),
        ({"x": GOOD.astype(np.uint8)}, "wants float32"),
        ({"x": GOOD * np.nan}, "NaN"),
        ({"x": GOOD[:0]}, "no sample"),
    ],
)
@pytest.mark.parametrize("command", ["run", "verify"])
def test_bad_inputs_file(lamella, model_path, tmp_path, arrays, words, command):
    np.savez(tmp_path / "x.npz", **arrays)
    extra = ["--outputs", tmp_path / "y.npz"] if command == "run" else []
    code, _, err = lamella(command, model_path, "--board", "host", "--inputs", tmp_path / "x.npz", *extra)
    assert code == 2 and words in err and "x.npz" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.npz"]


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 damaged"])
def test_damaged_inputs_file(lamella, model_path, tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    code, _, err = lamella("verify", model_path, "--board", "host", "--inputs", tmp_path / "x.npz")
    assert code == 2 and "x.npz" in err


def test_pickled_inputs_are_not_loaded(lamella, model_path, tmp_path):
    np.savez(tmp_path / "x.npz", x=np.array([{"a": 1}], dtype=object))
    code, _, err = lamella("verify", model_path, "--board", "host", "--inputs", tmp_path / "x.npz")
    assert code == 2 and "x.npz" in err


def test_model_too_large_for_flash_or_ram(lamella, tmp_path):
    """Exit 1 from generate and run, nothing written; footprint still says what it would take."""
    flash, ram = tmp_path / "flash.onnx", tmp_path / "ram.onnx"
    onnx.save(small_model(wide=180, size=6), flash)
    onnx.save(small_model(wide=2, size=150), ram)
    np.savez(tmp_path / "flash.npz", x=np.zeros((1, 1, 6, 6), np.float32))
    np.savez(tmp_path / "ram.npz", x=np.zeros((1, 1, 150, 150), np.float32))
    for path, region in ((flash, "flash"), (ram, "RAM")):
        code, out, err = lamella("generate", path, "--board", "qemu_microbit", "--out", tmp_path / "fw")
        assert code == 1 and region in err and "qemu_microbit" in err and not (tmp_path / "fw").exists()
        inputs = tmp_path / f"{path.stem}.npz"
        code, out, err = lamella(
            "run", path, "--board", "qemu_microbit", "--inputs", inputs, "--outputs", tmp_path / "y.npz"
        )
        assert code == 1 and "qemu_microbit" in err and not (tmp_path / "y.npz").exists()
        code, out, err = lamella("footprint", path, "--board", "qemu_microbit", "--json", "-")
        entry = json.loads(out)["boards"][0]
        assert code == 0 and entry["fits"] is False
        assert entry["flash"]["total"] > 2**18 if region == "flash" else entry["ram"]["total"] > 2**14


@pytest.mark.parametrize("command", ["generate", "run", "verify", "footprint"])
def test_missing_compiler_is_named_with_its_package(lamella, model_path, tmp_path, monkeypatch, command):
    np.savez(tmp_path / "x.npz", x=GOOD)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LAMELLA_CACHE", str(tmp_path / "cache"))
    extra = {
        "generate": ["--out", tmp_path / "fw"],
        "run": ["--inputs", tmp_path / "x.npz", "--outputs", tmp_path / "y.npz"],
    }
    code, _, err = lamella(command, model_path, "--board", "qemu_mps2_an386", *extra.get(command, []))
    assert code == 4 and "gcc-arm-none-eabi" in err
    assert not (tmp_path / "fw").exists() and not (tmp_path / "y.npz").exists()


def test_missing_emulator_is_named_with_its_package(lamella, model_path, tmp_path, monkeypatch):
    import shutil

    for tool in ("arm-none-eabi-gcc", "gcc"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = lamella("verify", model_path, "--board", "qemu_mps2_an386")
    assert code == 4 and "qemu-system-arm" in err


def test_interrupted_or_failed_writing_leaves_nothing(lamella, model_path, tmp_path, monkeypatch):
    """A full disk while the folder is written."""
    from pathlib import Path

    real = Path.write_text

    def full(self, *args, **kwargs):
        if self.name == "CMakeLists.txt":
            raise OSError(28, "No space left on device")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    code, _, err = lamella("generate", model_path, "--board", "host", "--out", tmp_path / "fw")
    assert code == 4 and "No space left" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", cli.command_names())
def test_help_opens_with_examples(lamella, name):
    code, out, _ = lamella(name, "--help")
    assert code == 0 and f"lamella {name}" in out.split("options:")[0]


def test_python_dash_m_works():
    done = subprocess.run([sys.executable, "-m", "lamella", "boards", "--json", "-"], capture_output=True, text=True)
    assert done.returncode == 0 and "qemu_microbit" in [b["name"] for b in json.loads(done.stdout)["boards"]]


def test_tables_of_what_is_supported(lamella):
    for command, words in (("formats", "sparse_ternary"), ("operators", "conv2d"), ("boards", "nucleo_f446re")):
        code, out, _ = lamella(command)
        assert code == 0 and words in out
        assert words in json.dumps(json.loads(lamella(command, "--json", "-")[1]))
