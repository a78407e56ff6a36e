"""The integer reference of lam_mfcc: every step in exact integers, for all frames of a recording at once.

Wherever a value loses bits it is rounded once, half up: floor((x + 2^(s-1)) / 2^s).
"""

import numpy as np

from lamella.mfcc.parameters import Mfcc
from lamella.mfcc.tables import AMPLITUDE_BITS, ENERGY_BITS, LOG_BITS, LOG_SEGMENTS, tables, window_shift

#: Frames that are worked on together: their intermediate values stay in the processor's cache.
CHUNK = 256


def features(p: Mfcc, samples: np.ndarray) -> np.ndarray:
    """uint8 (..., steps, coefficients) of int16 samples (..., n), n at least a frame; step t begins at sample t * hop."""
    t = tables(p)
    energies = log_energies(p, samples)
    half = p.filters // 2
    head, tail = energies[..., :half], energies[..., : half - 1 : -1]
    sums = np.empty((*energies.shape[:-1], p.coefficients), np.int64)
    sums[..., 0::2], sums[..., 1::2] = (head + tail) @ t.cosine[0::2].T, (head - tail) @ t.cosine[1::2].T
    return ((sums + t.offset) >> t.shift).clip(0, 255).astype(np.uint8)


def log_energies(p: Mfcc, samples: np.ndarray) -> np.ndarray:
    """log2((energy + floor) / floor) with ENERGY_BITS fraction bits, int64 (..., steps, filters), of int16 samples (..., n)."""
    if samples.dtype != np.int16 or samples.ndim < 1 or samples.shape[-1] < p.frame:
        raise ValueError(f"{samples.dtype} {samples.shape}: int16 samples are needed, at least a frame of {p.frame}")
    frames = np.lib.stride_tricks.sliding_window_view(samples, p.frame, axis=-1)[..., :: p.hop, :]
    flat = frames.reshape(-1, p.frame)
    parts = [_chunk(p, flat[k : k + CHUNK]) for k in range(0, len(flat), CHUNK)]
    return np.concatenate(parts).reshape(*frames.shape[:-1], p.filters)


def _chunk(p: Mfcc, frames: np.ndarray) -> np.ndarray:
    re, im = spectrum(p, frames)
    t = tables(p)
    end = t.first_bin + int(t.bins.sum())
    re, im = re[:, t.first_bin : end], im[:, t.first_bin : end]
    # The largest amplitude of a frame decides how far all of it is shifted; x ^ (x >> 63) is x, or -1 - x below zero.
    largest = np.maximum(re ^ (re >> 63), im ^ (im >> 63)).max(axis=1)
    bits = np.frexp(largest.astype(np.float64))[1]  # 2^(bits-1) <= largest < 2^bits, exact: it has fewer than 53 bits
    shift = np.maximum(0, bits - AMPLITUDE_BITS).astype(np.int64)[:, None]
    re, im = _shifted(re, shift), _shifted(im, shift)
    return _log2(p, _energies(p, re * re + im * im), shift)


def spectrum(p: Mfcc, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary parts (n, frame / 2), int64, of int16 frames (n, frame): twice the spectrum of the frame under
    a Hann window, times 2^(16 - window_shift)."""
    n, shift = p.frame, window_shift(p)
    cos, sin = _turns(p)
    window = (1 << 15) - np.concatenate([cos, -cos])  # 1 - cos with 15 bits is the Hann window with 16
    x = (frames.astype(np.int64) * window + (1 << (shift - 1))) >> shift
    # A transform of half the length: even samples are its real parts, odd samples its imaginary parts.
    order = _bit_reversed(n // 2)
    re, im = x[:, 0::2][:, order], x[:, 1::2][:, order]
    half = 1
    while half < n // 2:
        step = n // (2 * half)
        re, im = _butterflies(
            re.reshape(len(x), -1, 2, half), im.reshape(len(x), -1, 2, half), cos[::step], sin[::step]
        )
        half *= 2
    re, im = re.reshape(len(x), -1), im.reshape(len(x), -1)
    # Even and odd samples' spectra (twice), from the values at k and n/2 - k; the mirror of 0 is itself.
    mirror = -np.arange(n // 2) % (n // 2)
    even_re, even_im = re + re[:, mirror], im - im[:, mirror]
    odd_re, odd_im = im + im[:, mirror], re[:, mirror] - re
    # Only the first quarter is turned; the second follows by symmetry, and rounds as it does.
    k = np.arange(n // 4 + 1)
    turned_re, turned_im = _turn(odd_re[:, k], odd_im[:, k], cos[k], sin[k])
    low_re, low_im = even_re[:, k] + turned_re, even_im[:, k] + turned_im
    high_re, high_im = even_re[:, k] - turned_re, turned_im - even_im[:, k]
    behind = slice(n // 4 - 1, 0, -1)  # bin n/2 - k, k from n/4 - 1 down to 1
    return np.concatenate([low_re, high_re[:, behind]], 1), np.concatenate([low_im, high_im[:, behind]], 1)


def _butterflies(re: np.ndarray, im: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One stage of the decimation in time: pairs (n, blocks, 2, half)."""
    turned_re, turned_im = _turn(re[:, :, 1], im[:, :, 1], cos, sin)
    return (
        np.stack([re[:, :, 0] + turned_re, re[:, :, 0] - turned_re], 2),
        np.stack([im[:, :, 0] + turned_im, im[:, :, 0] - turned_im], 2),
    )


def _turn(re: np.ndarray, im: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(re + i im) (cos - i sin), which have 15 fraction bits, rounded once."""
    return (re * cos + im * sin + (1 << 14)) >> 15, (im * cos - re * sin + (1 << 14)) >> 15


def _turns(p: Mfcc) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin of 2 pi k / frame, k below frame / 2, from the table of a quarter."""
    quarter, sine = p.frame // 4, tables(p).sine
    return np.concatenate([sine[:0:-1], -sine[:quarter]]), np.concatenate([sine[:quarter], sine[:0:-1]])


def _bit_reversed(n: int) -> np.ndarray:
    order = np.zeros(1, np.int64)
    while len(order) < n:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order


def _shifted(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    return np.where(shift > 0, (x + (1 << np.maximum(shift - 1, 0))) >> shift, x)


def _energies(p: Mfcc, power: np.ndarray) -> np.ndarray:
    """Sums under the triangles (n, filters), from the power of the bins between corners."""
    t = tables(p)
    rising = np.zeros((power.shape[1], p.filters + 1), np.int64)
    segment = np.repeat(np.arange(p.filters + 1), t.bins)
    rising[np.arange(power.shape[1]), segment] = t.rising
    falling = np.where(segment[:, None] == np.arange(p.filters + 1), 1 << t.weight_bits, 0) - rising
    weights = rising[:, : p.filters] + falling[:, 1:]
    # float64 is exact and fast where every sum stays below 2^53: powers have 32 bits, weights times bins 17.
    return np.rint(power.astype(np.float64) @ weights.astype(np.float64)).astype(np.int64)


def _log2(p: Mfcc, energy: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """log2 of energy * 4^shift against the floor, from a table with straight lines between its entries."""
    t = tables(p)
    value = energy + np.maximum(1, _shifted(np.full_like(shift, t.floor), 2 * shift))
    exponent = np.frexp(value.astype(np.float64))[1].astype(np.int64) - 1
    exponent -= value < (1 << exponent)  # conversion to float64 may have rounded up to the next power
    mantissa = np.where(exponent > 15, value >> np.maximum(0, exponent - 15), value << np.maximum(0, 15 - exponent))
    fraction_bits = 15 - int(np.log2(LOG_SEGMENTS))
    index, fraction = (mantissa >> fraction_bits) - LOG_SEGMENTS, mantissa & ((1 << fraction_bits) - 1)
    low, high = t.log2[index], t.log2[index + 1]
    curve = low + (((high - low) * fraction + (1 << (fraction_bits - 1))) >> fraction_bits)
    logarithm = ((exponent + 2 * shift) << LOG_BITS) + curve - t.log_floor
    down = LOG_BITS - ENERGY_BITS
    return (logarithm + (1 << (down - 1))) >> down
