"""Random layers for hypothesis, and the calls that run one in C."""

import os

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from runtime_library import SANITIZE, Memory, Runtime
from runtime_reference import Conv, Pool, Requant

from lamella.formats import WeightFormat
from lamella.requant import quantize_multiplier


def checks(examples: int) -> settings:
    """How many random examples a test draws: fewer of them in the run with the sanitizers, which is slower."""
    if os.environ.get(SANITIZE):
        examples //= 12
    # The library is the same for all examples, so a fixture of a longer scope than one example does no harm.
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def random_requant(rng: np.random.Generator, channels: int, spread: float, kinds: str = "any") -> Requant:
    """A requantisation that brings accumulators of +-spread into range, now and then far beyond.

    kinds: "any" draws between one entry and one per channel, "one" never the latter.
    """
    n = channels if kinds == "any" and rng.random() < 0.6 else 1
    scales = 200.0 / max(spread, 1.0) * 2.0 ** rng.uniform(-2, 3, n)
    pairs = [quantize_multiplier(float(s)) for s in scales]
    shift = np.array([s for _, s in pairs])
    low, high = sorted(rng.integers(0, 256, 2).tolist()) if rng.random() < 0.3 else (0, 255)
    implied = (shift == 32).all() and rng.random() < 0.8
    multiplier = np.array([m for m, _ in pairs])
    return Requant(multiplier, None if implied else shift, int(rng.integers(0, 256)), low, high)


def random_levels(rng: np.random.Generator, record: WeightFormat, rows: int, cols: int) -> np.ndarray:
    """int16 levels that the format holds, over its whole range; of sparse ones a random share is zero."""
    alphabet = record.alphabet(rng, limit=2000)
    levels = rng.choice(alphabet, (rows, cols))
    if rng.random() < 0.2:  # rows of extremes
        levels[:] = rng.choice([alphabet.min(), alphabet.max()], (rows, 1))
    if record.sparse:
        levels *= rng.random((rows, cols)) < rng.choice([0.0, 0.1, 0.5, 1.0])
    return levels.astype(np.int16)


def random_pixels(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """uint8 over the whole range, or one of its ends throughout."""
    kind = rng.integers(0, 4)
    return np.full(shape, 255 * kind, np.uint8) if kind < 2 else rng.integers(0, 256, shape).astype(np.uint8)


@st.composite
def convs(draw: st.DrawFn) -> Conv:
    """Small convolutions of every kind."""
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    per_group = 1 if groups == 3 else draw(st.integers(1, 4))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 5)))
    dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    pad = draw(st.tuples(*[st.integers(0, 3)] * 4))
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    wide = draw(st.sampled_from([6, 12, 40]))
    size = [
        max(draw(st.integers(1, m)), e - a - b) for m, e, a, b in zip((9, wide), extents, pad[:2], pad[2:], strict=True)
    ]
    conv = Conv(
        in_c=groups * per_group,
        in_h=size[0],
        in_w=size[1],
        out_c=groups * draw(st.integers(1, 3)),
        groups=groups,
        kernel=kernel,
        stride=draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        dilation=dilation,
        pad=pad,
        in_zero=draw(st.sampled_from([0, 0, 128, 255, 7])),
    )
    kind = draw(st.sampled_from([0, 0, 1, 2]))
    if kind == 0:
        return conv
    pool_kernel = tuple(min(draw(st.integers(1, 3)), n) for n in conv.out)
    stride = tuple(k + draw(st.sampled_from([0, 0, 0, 1])) for k in pool_kernel)
    scale = 1 / (pool_kernel[0] * pool_kernel[1]) * draw(st.sampled_from([0.5, 1.0, 1.7]))
    multiplier, shift = quantize_multiplier(scale)
    pool_q = Requant(np.array([multiplier]), np.array([shift]), zero=draw(st.integers(0, 255)))
    pool = Pool(kind, pool_kernel, stride, bias=draw(st.integers(-2000, 2000)) if kind == 2 else 0, q=pool_q)
    return Conv(**{**conv.__dict__, "pool": pool})


def c_requant(memory: Memory, q: Requant | None) -> dict:
    """lam_requant for cffi."""
    if q is None:
        return {}
    return {
        "multiplier": memory.array("int32_t", q.multiplier),
        "shift": memory.ffi.NULL if q.shift is None else memory.array("uint8_t", q.shift),
        "per_channel": len(q.multiplier) > 1,
        "zero": q.zero,
        "low": q.low,
        "high": q.high,
    }


def c_conv_shape(memory: Memory, conv: Conv, bias: np.ndarray, q: Requant) -> dict:
    """lam_conv2d_shape for cffi."""
    pool = {
        "kind": conv.pool.kind,
        "kernel_h": conv.pool.kernel[0],
        "kernel_w": conv.pool.kernel[1],
        "stride_h": conv.pool.stride[0],
        "stride_w": conv.pool.stride[1],
        "out_h": conv.pooled[0],
        "out_w": conv.pooled[1],
        "bias": conv.pool.bias,
        "q": c_requant(memory, conv.pool.q),
    }
    return {
        "bias": memory.array("int32_t", bias),
        "q": c_requant(memory, q),
        **{name: getattr(conv, name) for name in ("in_c", "in_h", "in_w", "out_c", "in_zero")},
        "group_in_c": conv.in_c // conv.groups,
        "group_out_c": conv.out_c // conv.groups,
        "out_h": conv.out[0],
        "out_w": conv.out[1],
        **{f"{name}_h": getattr(conv, name)[0] for name in ("kernel", "stride", "dilation")},
        **{f"{name}_w": getattr(conv, name)[1] for name in ("kernel", "stride", "dilation")},
        "pad_top": conv.pad[0],
        "pad_left": conv.pad[1],
        "pool": pool,
    }


def run_conv2d(
    lam: Runtime, record: WeightFormat, conv: Conv, levels: np.ndarray, bias: np.ndarray, q: Requant, x: np.ndarray
) -> np.ndarray:
    """lam_conv2d on a format that unpacks."""
    with lam.memory() as memory:
        desc = lam.ffi.new("lam_conv2d_desc *", {"shape": c_conv_shape(memory, conv, bias, q)})
        desc.unpack = lam.function(record.c_unpack)
        desc.weights = memory.bytes(record.pack(levels))
        y = memory.blank(conv.out_c * conv.pooled[0] * conv.pooled[1])
        lam.lib.lam_conv2d(desc, memory.array("uint8_t", x), y, memory.blank(2 * conv.cols))
        return memory.read(y, conv.out_c * conv.pooled[0] * conv.pooled[1]).reshape(conv.out_c, *conv.pooled)


#: The sparse convolutions: what each does is the same, on pixels of 16 and of 8 bits.
SPARSE_KERNELS = ("lam_conv2d_sparse", "lam_conv2d_sparse_dsp", "lam_conv2d_sparse_dsp_lean")


def run_conv2d_sparse(
    lam: Runtime,
    kernel: str,
    record: WeightFormat,
    conv: Conv,
    levels: np.ndarray,
    bias: np.ndarray,
    q: Requant,
    x: np.ndarray,
    band_rows: int,
) -> np.ndarray:
    """A sparse convolution on a format with positions, in exactly the scratch memory it asks for."""
    with lam.memory() as memory:
        desc = lam.ffi.new("lam_conv2d_sparse_desc *", {"shape": c_conv_shape(memory, conv, bias, q)})
        desc.positions = lam.function(record.c_positions)
        desc.weights = memory.bytes(record.pack(levels))
        desc.capacity = int((levels != 0).sum(1).max())
        desc.band_rows = band_rows
        lam.function(f"{kernel}_plan")(desc)
        scratch = lam.function(f"{kernel}_scratch")(desc)
        y = memory.blank(conv.out_c * conv.pooled[0] * conv.pooled[1])
        lam.function(kernel)(desc, memory.array("uint8_t", x), y, memory.blank(scratch))
        return memory.read(y, conv.out_c * conv.pooled[0] * conv.pooled[1]).reshape(conv.out_c, *conv.pooled)
