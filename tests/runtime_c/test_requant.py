"""Requantisation in C against lamella.requant, bit for bit."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from runtime_cases import c_requant, checks
from runtime_library import Runtime
from runtime_reference import Requant

from lamella.requant import quantize_multiplier

CHECKS = checks(200)
ACCUMULATORS = st.one_of(st.integers(-(2**31), 2**31 - 1), st.integers(-40000, 40000))
MULTIPLIERS = st.one_of(st.integers(0, 2**31 - 1), st.integers(0, 70000))


def in_c(lam: Runtime, accs: list[int], q: Requant) -> list[int]:
    """Every accumulator requantised by the runtime."""
    with lam.memory() as memory:
        desc = lam.ffi.new("lam_requant *", c_requant(memory, q))
        return [lam.lib.lam_probe_requant(acc, desc) for acc in accs]


@CHECKS
@given(acc=ACCUMULATORS, multiplier=MULTIPLIERS, shift=st.integers(1, 32), zero=st.integers(0, 255))
@example(acc=1, multiplier=2**30, shift=1, zero=0)
@example(acc=-1, multiplier=2**30, shift=1, zero=255)
@example(acc=2, multiplier=2**30, shift=31, zero=0)
@example(acc=-(2**31), multiplier=2**31 - 1, shift=32, zero=0)
@example(acc=-(2**31), multiplier=2**31 - 1, shift=1, zero=255)
@example(acc=2**31 - 1, multiplier=2**31 - 1, shift=1, zero=255)
@example(acc=-(2**31), multiplier=65535, shift=32, zero=128)
@example(acc=-32768, multiplier=2**31 - 1, shift=32, zero=128)
@example(acc=32767, multiplier=2**31 - 1, shift=32, zero=128)
@example(acc=32768, multiplier=2**31 - 1, shift=32, zero=128)
def test_requantisation_is_the_python_one(lam: Runtime, acc: int, multiplier: int, shift: int, zero: int):
    if shift < 32:  # only scales of one half and more have such a shift
        multiplier |= 1 << 30
    q = Requant(np.array([multiplier]), np.array([shift]), zero)
    assert in_c(lam, [acc], q) == [q.at(np.int64(acc))]


@CHECKS
@given(scale=st.floats(1e-7, 4.0), zero=st.integers(0, 255), step=st.integers(0, 255), delta=st.integers(-2, 2))
def test_rounding_is_half_up_next_to_every_step(lam: Runtime, scale: float, zero: int, step: int, delta: int):
    """Accumulators around those at which the result changes."""
    multiplier, shift = quantize_multiplier(scale)
    edge = ((2 * (step - zero) - 1) << shift) // (2 * max(multiplier, 1)) + delta
    if -(2**31) <= edge < 2**31:
        q = Requant(np.array([multiplier]), np.array([shift]), zero)
        assert in_c(lam, [edge], q) == [q.at(np.int64(edge))]


def test_no_list_of_shifts_means_32(lam: Runtime):
    accs = [-(2**31), -70000, -1, 0, 1, 32768, 123456789, 2**31 - 1]
    listed = Requant(np.array([123456]), np.array([32]), 100)
    implied = Requant(np.array([123456]), None, 100)
    assert in_c(lam, accs, implied) == in_c(lam, accs, listed) == list(listed.at(np.array(accs)))
