"""The script that shows compression inside a training loop of one's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lamella.codegen import import_onnx
from lamella.errors import PlatformError
from lamella.trainer.data import fashion_mnist

SCRIPT = Path(__file__).parents[2] / "examples" / "own_loop" / "train.py"


def test_the_script_compresses_and_exports(tmp_path):
    try:
        fashion_mnist.load(None)
    except PlatformError:
        pytest.skip("the fashion_mnist data set is not installed")
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path), "--samples", "1500", "--epochs", "1"]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # the tests beside this one have the other cores
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=one_thread)
    assert done.returncode == 0, done.stderr
    assert "points lost" in done.stdout
    graph = import_onnx.read(tmp_path / "model.onnx")
    assert [node.op for node in graph.nodes if hasattr(node.attributes, "levels")] == ["conv2d", "conv2d", "dense"]
