"""The runtime compiles without a warning wherever it shall, and needs nothing but a few library functions."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from runtime_library import ROOT, SANITIZE, WARNINGS, sources

TOP = ROOT.parent
CROSS = "arm-none-eabi-"
needs_cross = pytest.mark.skipif(shutil.which(CROSS + "gcc") is None, reason="arm-none-eabi-gcc is not installed")
pytestmark = pytest.mark.skipif(bool(os.environ.get(SANITIZE)), reason="nothing runs here")

#: string.h, the 64-bit arithmetic of libgcc, and its division for cores without one.
ALLOWED = {"memcpy", "memset", "memmove"}
LIBGCC = {"__aeabi_lmul", "__aeabi_lasr", "__aeabi_llsl", "__aeabi_llsr", "__aeabi_uidiv", "__aeabi_uldivmod"}
#: Arithmetic of float32 for cores without a unit for it; double is nowhere.
LIBGCC_FLOAT = re.compile(r"__aeabi_(f(add|sub|mul|div|cmp(eq|lt|le|gt|ge|un))|(i|ui)2f|f2(iz|uiz|lz))")


def undefined(objects: list[Path], prefix: str) -> set[str]:
    """Symbols that the objects take from elsewhere, the runtime's own left out."""
    found = subprocess.run([prefix + "nm", "-u", *map(str, objects)], check=True, capture_output=True, text=True)
    names = {line.split()[1] for line in found.stdout.splitlines() if line.strip().startswith("U ")}
    return {name for name in names if not name.startswith("lam_")}


def compiled(work: Path, prefix: str, flags: list[str]) -> list[Path]:
    """Objects of all sources; fails on any warning."""
    subprocess.run(
        [prefix + "gcc", *WARNINGS, *flags, "-c", f"-I{ROOT / 'include'}", *map(str, sources())], check=True, cwd=work
    )
    return sorted(work.glob("*.o"))


@needs_cross
@pytest.mark.parametrize(("core", "level"), [("cortex-m0", "-Os"), ("cortex-m4", "-O3")])  # the presets take -O2
def test_arm_builds_have_no_warnings_and_few_needs(tmp_path: Path, core: str, level: str):
    objects = compiled(tmp_path, CROSS, [f"-mcpu={core}", "-mthumb", level])
    floats = [path for path in objects if path.name.startswith("lam_float_")]
    assert undefined([path for path in objects if path not in floats], CROSS) <= ALLOWED | LIBGCC
    others = undefined(floats, CROSS) - ALLOWED - LIBGCC
    assert floats and all(LIBGCC_FLOAT.fullmatch(name) for name in others), others
    inner = [path for path in objects if path.name == f"lam_conv2d_sparse{'_dsp' if core == 'cortex-m4' else ''}.o"]
    assert inner and not undefined(inner, CROSS) & LIBGCC, "library calls for each pixel"


@pytest.mark.parametrize("level", ["-Os", "-O3"])
def test_host_builds_have_no_warnings_and_few_needs(tmp_path: Path, level: str):
    assert undefined(compiled(tmp_path, "", [level]), "") <= ALLOWED | {"_GLOBAL_OFFSET_TABLE_"}


@pytest.mark.parametrize("header", sorted((ROOT / "include").glob("*.h")), ids=lambda path: path.name)
def test_every_header_stands_alone(tmp_path: Path, header: Path):
    source = tmp_path / "alone.c"
    source.write_text(f'#include "{header.name}"\ntypedef int lam_not_empty;\n')
    subprocess.run(["gcc", *WARNINGS, "-fsyntax-only", f"-I{ROOT / 'include'}", str(source)], check=True)


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
@pytest.mark.parametrize("preset", ["host", "host-sanitize", "cortex-m0", "cortex-m4"])
def test_cmake_presets_build(tmp_path: Path, preset: str):
    if preset.startswith("cortex") and shutil.which(CROSS + "gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    subprocess.run(["cmake", "--preset", preset, "-B", str(tmp_path)], check=True, cwd=TOP, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", str(tmp_path)], check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "runtime_c" / "liblamella_runtime.a").stat().st_size > 0
