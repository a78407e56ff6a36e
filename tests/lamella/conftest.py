"""A small model on disk, the command line as a function, and this folder's modules."""

import sys
from pathlib import Path

import onnx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_model import small_model

from lamella import cli


@pytest.fixture(scope="session")
def model_path(tmp_path_factory) -> Path:
    """The small model as a file."""
    path = tmp_path_factory.mktemp("model") / "small.onnx"
    onnx.save(small_model(), path)
    return path


@pytest.fixture
def lamella(capsys):
    """lamella(*args) -> (exit code, standard output, standard error)."""

    def run(*args):
        try:
            code = cli.main([str(a) for a in args])
        except SystemExit as stop:  # argparse
            code = stop.code
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run
