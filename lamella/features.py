"""An MFCC front end as C: its tables, a folder that builds alone, and what it costs on a board, compared with Python."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import lamella
from lamella import boards, build, elf, execute, firmware, runtime_c
from lamella.codegen import cdata, emit, names
from lamella.mfcc import SCALE, ZERO_POINT, Mfcc, integer
from lamella.mfcc.tables import tables

SOURCE = runtime_c.ROOT / "src" / "lam_mfcc.c"
SELFTEST_STEPS = 4
MEASURED = "measured_features"  # the name in programs that measure


@dataclass(frozen=True)
class Outcome:
    """What a run on a board gave. Instructions: mean of a call of lam_mfcc_push; stack and counts None where not counted.
    code: bytes of lam_mfcc's functions, tables: bytes of the constants."""

    features: np.ndarray
    instructions: float | None
    stack: int | None
    code: int
    tables: int


def describe(p: Mfcc) -> cdata.Struct:
    """The descriptor of lam_mfcc_push."""
    t = tables(p)
    fields = {"log2_frame": p.frame.bit_length() - 1, "filters": p.filters, "coefficients": p.coefficients}
    fields |= {
        "hop": p.hop,
        "first_bin": t.first_bin,
        "weight_bits": t.weight_bits,
        "log_floor": t.log_floor,
        "floor": t.floor,
    }
    fields["sine"] = cdata.Array("sine", "uint16_t", t.sine, "sin(2 pi k / frame), 15 fraction bits")
    fields["bins"] = cdata.Array("bins", "uint8_t", t.bins, "bins between the corners of the filters")
    fields["rising"] = cdata.Array("rising", "uint16_t", t.rising, "weight of each bin in the filter that begins there")
    fields["log2"] = cdata.Array("log2", "uint16_t", t.log2, "log2(1 + k / 32), 14 fraction bits")
    fields["cosine"] = cdata.Array("cosine", "int16_t", t.cosine, "half of each row of the DCT, normalised")
    fields["offset"] = cdata.Array("offset", "int32_t", t.offset, "of each coefficient, with its rounding")
    fields["shift"] = cdata.Array("shift", "uint8_t", t.shift, "fraction bits of each coefficient")
    return cdata.Struct("lam_mfcc_desc", fields)


def sources(p: Mfcc, name: str) -> dict[str, str]:
    """<name>.h and <name>.c: the tables, to be compiled with runtime_c's lam_mfcc.c."""
    values = _values(p, name)
    return {f"{name}.h": _render("mfcc.h.j2", values), f"{name}.c": _render("mfcc.c.j2", values)}


def folder(p: Mfcc, name: str) -> dict[str, str]:
    """All files of a folder that builds alone, or inside a project beside a generated model."""
    values = _values(p, name)
    signal = noise(p, SELFTEST_STEPS)
    expected = stream(p, signal)
    runtime = [SOURCE, *sorted(firmware.included([SOURCE]))]
    files = sources(p, name)
    files[f"{name}_selftest.c"] = _render(
        "mfcc_selftest.c.j2", {**values, "steps": SELFTEST_STEPS, "expected": expected}
    )
    files |= {path.name: path.read_text(encoding="utf-8") for path in runtime}
    files["main.c"] = _render("mfcc_main.c.j2", values)
    values["sources"] = sorted(file for file in files if file.endswith(".c") and file != "main.c")
    files["CMakeLists.txt"] = _render("mfcc_CMakeLists.txt.j2", values)
    files["README.md"] = _render("mfcc_README.md.j2", values)
    manifest = {"generator": "lamella", "version": lamella.__version__, "name": name}
    manifest["files"] = sorted([*files, firmware.MANIFEST])
    files[firmware.MANIFEST] = json.dumps(manifest, indent=2) + "\n"
    return files


def stream(p: Mfcc, samples: np.ndarray) -> np.ndarray:
    """The reference for lam_mfcc_push: uint8 (n / hop, coefficients) of int16 (n,), silence before them, n in whole hops."""
    return integer.features(p, np.concatenate([np.zeros(p.frame - p.hop, np.int16), samples]))


def noise(p: Mfcc, steps: int) -> np.ndarray:
    """int16 (steps * hop,) from the generator of the self-test: noise that grows louder and ends at full scale."""
    state, values = 1, []
    for k in range(steps * p.hop):
        state = (state * 1664525 + 1013904223) % 2**32
        values.append(((state >> 16) - 2**15) >> (15 - 15 * (k // p.hop) // (steps - 1)))
    return np.array(values, np.int16)


def run(p: Mfcc, board: boards.Board, samples: np.ndarray, *, sanitize: bool = False) -> Outcome:
    """lam_mfcc_push on a board over int16 (n,) samples, n in whole hops, beginning with silence in its state."""
    values = _values(p, MEASURED)
    program = build.build(
        board,
        {**sources(p, MEASURED), "harness_features.c": _render("mfcc_harness.c.j2", values)},
        include_dirs=[runtime_c.INCLUDE],
        files=[SOURCE],
        with_harness=True,
        sanitize=sanitize,
    )
    count = board.runner is not None and board.runner.plugin is not None
    raw = np.ascontiguousarray(samples, "<i2").tobytes()
    done = execute.execute(board, program, raw, run_symbol="lam_mfcc_push", count=count)
    features = np.frombuffer(done.outputs, np.uint8).reshape(-1, p.coefficients)
    parts = {symbol.name: symbol for symbol in elf.symbols(program)}.values()
    code = sum(part.size for part in parts if part.function and part.name.startswith("lam_mfcc"))
    constants = sum(part.size for part in parts if not part.function and part.name.startswith(MEASURED))
    return Outcome(features, done.instructions, done.stack_bytes, code, constants)


def c_name(text: str) -> str:
    """A text as a C identifier that ends in _features, so that its header is no other's."""
    return names.unique([f"{text.removesuffix('_features')}_features"], "sound_features")[0]


def write(p: Mfcc, name: str, out: Path) -> list[str]:
    """Writes the folder; the names of its files."""
    files = folder(p, name)
    firmware.write_folder(out, files)
    return sorted(files)


def _values(p: Mfcc, name: str) -> dict:
    descriptor = describe(p)
    return {
        "p": p,
        "name": name,
        "upper": name.upper(),
        "version": lamella.__version__,
        "descriptor": descriptor,
        "state": p.frame - p.hop,
        "scale": SCALE,
        "zero_point": ZERO_POINT,
        "flash": sum(array.values.size * int(array.ctype.strip("uint_")) // 8 for array in cdata.arrays(descriptor)),
    }


def _render(template: str, values: dict) -> str:
    return emit.render(template, package="lamella", **values)
