"""The kernels for cores with vectors of integers, as their own compiler sees them; elsewhere their files are empty."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from runtime_library import ROOT, SANITIZE, WARNINGS

pytestmark = pytest.mark.skipif(bool(os.environ.get(SANITIZE)), reason="nothing runs here")

CC = "arm-none-eabi-gcc"
CORE = ["-mcpu=cortex-m55+nofp", "-mthumb", "-mfloat-abi=hard"]
SOURCES = sorted(str(path) for path in (ROOT / "src").glob("*_mve.c"))


@pytest.mark.skipif(shutil.which(CC) is None, reason=f"{CC} is not installed")
@pytest.mark.parametrize("level", ["-O0", "-Og", "-Os", "-O2", "-O3"])
def test_vector_kernels_compile_without_warnings_at_every_level(tmp_path: Path, level: str):
    """Without optimisation, too: assembly that leaves no register fails there first."""
    assert len(SOURCES) >= 5
    command = [CC, *WARNINGS, *CORE, level, "-g", f"-I{ROOT / 'include'}", "-c", *SOURCES]
    subprocess.run(command, check=True, cwd=tmp_path)
    for source in SOURCES:
        symbols = subprocess.run(
            ["arm-none-eabi-nm", "--defined-only", str(tmp_path / f"{Path(source).stem}.o")],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert f" T {Path(source).stem}\n" in symbols


def test_vector_kernels_are_empty_for_other_cores(tmp_path: Path):
    subprocess.run(["gcc", *WARNINGS, f"-I{ROOT / 'include'}", "-c", *SOURCES], check=True, cwd=tmp_path)
    objects = [str(path) for path in tmp_path.glob("*.o")]
    assert len(objects) == len(SOURCES)
    assert subprocess.run(["nm", *objects], check=True, capture_output=True, text=True).stdout.count(" T ") == 0
