"""The runtime as a library, and this folder's modules, for the generator's tests."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "runtime_c")]

from runtime_library import build


@pytest.fixture(scope="session")
def lam(tmp_path_factory):
    """(ffi, lib) of the whole runtime, as this computer compiles it."""
    runtime = build("native", tmp_path_factory)
    return runtime.ffi, runtime.lib
