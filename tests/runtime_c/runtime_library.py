"""Compiles runtime_c into a shared library and opens it with cffi, from the real headers."""

import os
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import cffi
import numpy as np
import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2] / "runtime_c"
HERE = Path(__file__).parent

WARNINGS = [
    "-std=c99",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-Wmissing-prototypes",
    "-Wstrict-prototypes",
    "-Wcast-align",
    "-Werror",
]
SANITIZERS = ["-g1", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

#: What the code does by itself on the host, and the paths it takes on the smallest cores.
VARIANTS = {
    "native": [],
    "small_core": ["-DLAM_NO_LONG_MULTIPLY=1"],
}

#: Set in the process that test_sanitized.py starts: the same tests, on a library built with the sanitizers.
SANITIZE = "LAMELLA_TEST_SANITIZE"


def sources() -> list[Path]:
    """Every C file of the runtime."""
    return sorted((ROOT / "src").glob("*.c"))


def public_headers() -> list[Path]:
    """The headers that a generated model may include, and a C++ program with it; the others are for kernels only."""
    return [header for header in sorted((ROOT / "include").glob("*.h")) if 'extern "C"' in header.read_text()]


def declarations(work: Path) -> str:
    """What the public headers declare, in the C that cffi reads."""
    for name in ("stdint.h", "stddef.h", "string.h"):  # cffi knows these types
        (work / name).write_text("")
    probe = work / "all.c"
    probe.write_text("".join(f'#include "{header.name}"\n' for header in public_headers()))
    command = ["gcc", "-E", "-P", "-nostdinc", f"-I{work}", f"-I{ROOT / 'include'}", str(probe)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.sub(r"^static inline .*?^}", "", text, flags=re.MULTILINE | re.DOTALL)  # definitions are not for cffi


class Memory:
    """Buffers on the C heap, exactly as long as asked, so that the sanitizers watch both ends; freed on leaving."""

    def __init__(self, ffi: cffi.FFI, libc: object) -> None:
        self.ffi, self.libc, self.blocks = ffi, libc, []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for block in self.blocks:
            self.libc.free(block)

    def bytes(self, data: bytes, c_type: str = "uint8_t") -> object:
        """A copy of `data` as `c_type` *."""
        block = self.libc.malloc(len(data))
        self.blocks.append(block)
        self.ffi.memmove(block, data, len(data))
        return self.ffi.cast(f"{c_type} *", block)

    def blank(self, n_bytes: int) -> object:
        """uint8_t[n_bytes] that hold nothing of meaning."""
        return self.bytes(b"\xa5" * n_bytes)

    def array(self, c_type: str, values: np.ndarray) -> object:
        """`c_type`[] with these values."""
        dtype = {"uint8_t": np.uint8, "int32_t": np.int32, "uint32_t": np.uint32}[c_type]
        values = np.asarray(values)
        assert (values.astype(dtype) == values).all()
        return self.bytes(values.astype(dtype).tobytes(), c_type)

    def read(self, pointer: object, n: int, dtype: type = np.uint8) -> np.ndarray:
        """A copy of the n numbers at `pointer`."""
        return np.frombuffer(self.ffi.buffer(pointer, n * np.dtype(dtype).itemsize)[:], dtype)


@dataclass(frozen=True)
class Runtime:
    """The library in one variant."""

    ffi: cffi.FFI
    lib: object
    libc: object
    variant: str

    def memory(self) -> Memory:
        """Buffers for one call."""
        return Memory(self.ffi, self.libc)

    def function(self, name: str) -> object:
        """The C function called `name`, e.g. a format's c_unpack."""
        return getattr(self.lib, name)


def build(variant: str, tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """The runtime compiled as `variant`: once for all workers of a run of pytest."""
    folder = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        folder = folder.parent
    return _opened(variant, folder)


@cache
def _opened(variant: str, folder: Path) -> Runtime:
    library = folder / f"lamella_{variant}.so"
    with FileLock(library.with_suffix(".lock")):
        work = folder / f"lamella_{variant}"
        if not library.exists():
            work.mkdir()
            _compile(variant, work / library.name)
            (work / "all.h").write_text(declarations(work))
            (work / library.name).rename(library)
    ffi = cffi.FFI()
    ffi.cdef((work / "all.h").read_text())
    ffi.cdef("uint8_t lam_probe_requant(int32_t acc, const lam_requant *q);")
    ffi.cdef("void *malloc(size_t n); void free(void *p);")
    return Runtime(ffi, ffi.dlopen(str(library)), ffi.dlopen(None), variant)


def _compile(variant: str, library: Path) -> None:
    sanitize = bool(os.environ.get(SANITIZE))
    flags = [*WARNINGS, "-Og" if sanitize else "-O2", "-fPIC", "-shared", f"-I{ROOT / 'include'}", *VARIANTS[variant]]
    probe = HERE / "requant_probe.c"
    command = ["gcc", *flags, *(SANITIZERS if sanitize else []), *map(str, sources()), str(probe), "-o", str(library)]
    subprocess.run(command, check=True)
