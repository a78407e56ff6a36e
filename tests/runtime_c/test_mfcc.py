"""The MFCC front end in C against its integer reference, byte for byte: any signal, any parameters, on this computer
(test_sanitized.py: with the sanitizers too) and on emulated cores."""

import os
import shutil
from functools import cache

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from runtime_cases import checks
from runtime_library import SANITIZE, Runtime

from lamella import boards, features
from lamella.codegen import cdata
from lamella.errors import UsageError
from lamella.mfcc import Mfcc
from lamella.mfcc.tables import tables
from lamella.trainer.data.fsdd import FRONT_END

CHECKS = checks(60)
LARGEST = np.iinfo(np.int16).max
EMULATED = ("qemu_microbit", "qemu_mps2_an386", "qemu_riscv32_virt")


def tone(n: int, frequency: float, amplitude: float) -> np.ndarray:
    """int16 (n,): a sine wave, frequency in turns a sample."""
    return np.rint(amplitude * np.sin(2 * np.pi * frequency * np.arange(n))).astype(np.int16)


def noise(n: int, seed: int, amplitude: float) -> np.ndarray:
    """int16 (n,): white noise, cut at the ends of the range."""
    values = np.random.default_rng(seed).normal(0, amplitude, n)
    return values.clip(-LARGEST - 1, LARGEST).astype(np.int16)


def steps_of(n: int, period: int, high: int, low: int) -> np.ndarray:
    """int16 (n,): `period` samples of one value, then as many of the other."""
    return np.where(np.arange(n) // period % 2, low, high).astype(np.int16)


@st.composite
def signals(draw: st.DrawFn, n: int) -> np.ndarray:
    """Silence, offsets, square waves up to the largest numbers, noise, tones, single clicks, and changes between them."""
    level = st.sampled_from([0, 1, -1, 300, LARGEST, -LARGEST, -LARGEST - 1])
    amplitude = st.sampled_from([0.4, 3.0, 100.0, 5000.0, float(LARGEST)])
    part = st.one_of(
        st.builds(steps_of, st.just(n), st.integers(1, 40), level, level),
        st.builds(noise, st.just(n), st.integers(0, 2**32 - 1), amplitude),
        st.builds(tone, st.just(n), st.floats(0, 0.5), amplitude),
        st.integers(0, n - 1).map(lambda at: np.where(np.arange(n) == at, -LARGEST - 1, 0).astype(np.int16)),
    )
    cut = draw(st.integers(0, n))
    return np.concatenate([draw(part)[:cut], draw(part)[cut:]])


@st.composite
def front_ends(draw: st.DrawFn) -> Mfcc:
    """Parameters of every kind that is not refused."""
    frame = draw(st.sampled_from([32, 64, 128, 256, 512, 1024, 2048]))
    rate = draw(st.sampled_from([4000, 8000, 16000, 44100]))
    filters = 2 * draw(st.integers(1, 20))
    coefficients = draw(st.integers(1, filters))
    numbers = st.lists(st.floats(-20, 20), min_size=coefficients, max_size=coefficients).map(tuple)
    positive = st.lists(st.floats(0.05, 20), min_size=coefficients, max_size=coefficients).map(tuple)
    low = draw(st.floats(0, rate / 4))
    fields = {"rate": rate, "frame": frame, "hop": draw(st.integers(1, frame)), "filters": filters, "low": low}
    fields |= {"high": draw(st.floats(low + rate / 8, rate / 2)), "floor": 10.0 ** draw(st.floats(-9, 0))}
    try:
        p = Mfcc(**fields, coefficients=coefficients, mean=draw(numbers), deviation=draw(positive))
        tables(p)
        return p
    except UsageError:  # a filter without a bin, or with too many
        assume(False)
        raise


def in_c(lam: Runtime, p: Mfcc, samples: np.ndarray) -> np.ndarray:
    """lam_mfcc_push over the samples; buffers have exactly the sizes that the header asks for."""
    rows = []
    with lam.memory() as memory:
        described = features.describe(p)
        fields = {key: value for key, value in described.fields.items() if not isinstance(value, cdata.Array)}
        for array in cdata.arrays(described):
            fields[array.suffix] = memory.bytes(array.values.astype(array.ctype[:-2]).tobytes(), array.ctype)
        desc = lam.ffi.new("lam_mfcc_desc *", fields)
        state = memory.bytes(bytes(2 * (p.frame - p.hop)), "int16_t")
        scratch = memory.bytes(b"\xa5" * (4 * p.frame), "int32_t")
        for hop in samples.reshape(-1, p.hop):
            y = memory.blank(p.coefficients)
            lam.lib.lam_mfcc_push(desc, state, memory.bytes(hop.tobytes(), "int16_t"), scratch, y)
            rows.append(memory.read(y, p.coefficients))
    return np.stack(rows)


@CHECKS
@example(samples=np.full(1600, -LARGEST - 1, np.int16))
@example(samples=steps_of(1600, 1, LARGEST, -LARGEST - 1))
@example(samples=steps_of(1600, 4, LARGEST, -LARGEST - 1))
@example(samples=np.zeros(1600, np.int16))
@given(samples=signals(1600))
def test_digits_front_end_equals_the_reference(lam: Runtime, samples: np.ndarray):
    np.testing.assert_array_equal(in_c(lam, FRONT_END, samples), features.stream(FRONT_END, samples))


@CHECKS
@given(p=front_ends(), data=st.data())
def test_any_front_end_equals_the_reference(lam: Runtime, p: Mfcc, data: st.DataObject):
    steps = data.draw(st.integers(1, 6))
    samples = data.draw(signals(steps * p.hop))
    np.testing.assert_array_equal(in_c(lam, p, samples), features.stream(p, samples))


@cache
def program_signals() -> np.ndarray:
    """int16 (n,), n in whole hops: one of each kind of signal behind the other."""
    n = 10 * FRONT_END.hop
    parts = [np.zeros(n, np.int16), steps_of(n, 1, LARGEST, -LARGEST - 1), steps_of(n, 7, -LARGEST, LARGEST)]
    parts += [np.full(n, value, np.int16) for value in (1, LARGEST, -LARGEST - 1)]
    parts += [noise(n, seed, 10.0**seed) for seed in range(5)]
    parts += [tone(n, frequency, LARGEST) for frequency in (0.003, 0.11, 0.4999)]
    return np.concatenate(parts)


@pytest.mark.skipif(bool(os.environ.get(SANITIZE)), reason="not a run on the host")
@pytest.mark.parametrize("name", EMULATED)
def test_emulated_cores_equal_the_reference(name: str):
    board = boards.load(name)
    for tool in (board.compiler.cc, board.runner.command[0]):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    samples = program_signals()
    done = features.run(FRONT_END, board, samples)
    np.testing.assert_array_equal(done.features, features.stream(FRONT_END, samples))
    # An 8 kHz recording leaves a core of 16 MHz 320,000 cycles for a hop; docs/mfcc.md says what it takes.
    assert done.instructions is not None and done.instructions < 64_000
