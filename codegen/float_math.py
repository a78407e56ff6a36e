"""The functions of runtime_c/src/lam_float_functions.c in numpy: the same float32 operations in the same order, so the same bits.

Each takes and gives float32 arrays. The polynomials are least maximal errors over their ranges (Lawson's weights on
Chebyshev points, in float64), rounded to float32; against exact values all functions stay within a few units of the last place.
"""

from collections.abc import Callable

import numpy as np

F = np.float32
Array = np.ndarray


def _bits(x: Array) -> Array:
    return np.ascontiguousarray(x, F).view(np.uint32)


def _from_bits(bits: Array) -> Array:
    return np.ascontiguousarray(bits, np.uint32).view(F)


def _power_of_two(n: Array) -> Array:
    return _from_bits(((n + 127).astype(np.uint32)) << np.uint32(23))


def _is_large(x: Array) -> Array:
    return (_bits(x) & 0x7FFFFFFF) >= 0x4B000000


def _polynomial(z: Array, *coefficients: float) -> Array:
    """Horner's scheme, highest power first."""
    p = np.full_like(z, F(coefficients[0]))
    for c in coefficients[1:]:
        p = p * z + F(c)
    return p


def absolute(x: Array) -> Array:
    """Without its sign."""
    return _from_bits(_bits(x) & 0x7FFFFFFF)


def sign(x: Array) -> Array:
    """-1, 0 or 1; 0 for NaN."""
    return np.where(x > 0, F(1), np.where(x < 0, F(-1), F(0)))


def at_least(x: Array, a: float) -> Array:
    """The larger of x and a; NaN stays."""
    return np.where(x < F(a), F(a), x)


def at_most(x: Array, a: float) -> Array:
    """The smaller of x and a; NaN stays."""
    return np.where(x > F(a), F(a), x)


def clip(x: Array, a: float, b: float) -> Array:
    """x within a..b."""
    return at_most(at_least(x, a), b)


def floor(x: Array) -> Array:
    """The largest whole number not above x."""
    large = _is_large(x)
    whole = np.where(large, F(0), x).astype(np.int32).astype(F)
    return np.where(large, x, np.where(whole > x, whole - F(1), whole))


def ceil(x: Array) -> Array:
    """The smallest whole number not below x."""
    return -floor(-x)


def round_even(x: Array) -> Array:
    """The nearest whole number, of two the even one."""
    magic = F(8388608.0)
    return np.where(_is_large(x), x, np.where(x < 0, (x - magic) + magic, (x + magic) - magic))


def exp(x: Array) -> Array:
    """e^x: 2^n e^r with |r| at most half of log 2."""
    inside = np.where((x <= F(89)) & (x >= F(-104)), x, F(0))
    whole = floor(inside * F(1.44269502) + F(0.5))
    r = (inside - whole * F(0.693359375)) - whole * F(-2.12194442e-4)
    p = _polynomial(r, 1.99070491e-4, 1.39329256e-3, 8.3332872e-3, 4.16664742e-2, 1.66666672e-1, 0.5)
    y = (p * (r * r) + r) + F(1)
    n = whole.astype(np.int32)
    half = np.where(n < 0, -(-n // 2), n // 2)  # as C divides
    y = (y * _power_of_two(half)) * _power_of_two(n - half)
    return np.where(x > F(89), F(np.inf), np.where(x < F(-104), F(0), np.where(x <= F(89), y, x)))


def log(x: Array) -> Array:
    """Natural logarithm: e log 2 + log(1 + f) with 1 + f between the roots of 1/2 and of 2."""
    usual = np.where((x > 0) & (x < np.inf), x, F(1))
    small = usual < F(1.17549435e-38)
    bits = _bits(np.where(small, usual * F(8388608.0), usual))
    exponent = (bits >> 23).astype(np.int32) - 127 - np.where(small, 23, 0).astype(np.int32)
    m = _from_bits((bits & 0x007FFFFF) | 0x3F800000)
    halved = m > F(1.41421354)
    m = np.where(halved, m * F(0.5), m)
    f = m - F(1)
    p = _polynomial(
        f, 6.74663857e-2, -1.16756514e-1, 1.18881628e-1, -1.24055892e-1, 1.42195523e-1, -1.66679963e-1, 2.00021192e-1,
        -2.50000089e-1, 3.33333135e-1,
    )  # fmt: skip
    e = (exponent + halved).astype(F)
    low = ((p * f) * (f * f) - F(0.5) * (f * f)) + e * F(-2.12194442e-4)
    y = (f + low) + e * F(0.693359375)
    return np.where(x == 0, F(-np.inf), np.where(x > 0, np.where(x < np.inf, y, x), F(np.nan)))


def sqrt(x: Array) -> Array:
    """Square root, correctly rounded."""
    return np.sqrt(x)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x)."""
    e = exp(np.where(x >= 0, -x, x))
    return np.where(x >= 0, F(1) / (F(1) + e), e / (F(1) + e))


def silu(x: Array, a: float) -> Array:
    """x sigmoid(a x)."""
    return x * sigmoid(F(a) * x)


def tanh(x: Array) -> Array:
    """Hyperbolic tangent."""
    size = absolute(x)
    z = x * x
    p = _polynomial(z, -6.11326518e-3, 2.10101455e-2, -5.38540892e-2, 1.33327946e-1, -3.33333284e-1)
    near = (p * z) * x + x
    far = F(1) - F(2) / (exp(F(2) * size) + F(1))
    return np.where(size < F(0.625), near, np.where(x < 0, -far, far))


def _exp_less_one(x: Array) -> Array:
    t = tanh(F(0.5) * x)
    return np.where((x > F(-0.5)) & (x < F(0.5)), (F(2) * t) / (F(1) - t), exp(x) - F(1))


def elu(x: Array, a: float, b: float) -> Array:
    """b a (e^x - 1) below 0, b x elsewhere."""
    return np.where(x < 0, F(b) * (F(a) * _exp_less_one(x)), F(b) * x)


def celu(x: Array, a: float) -> Array:
    """a (e^(x / a) - 1) below 0, x elsewhere."""
    return np.where(x < 0, F(a) * _exp_less_one(x / F(a)), x)


def softplus(x: Array) -> Array:
    """log(1 + e^x)."""
    e = exp(-absolute(x))
    u = F(1) + e
    tail = log(u) + (e - (u - F(1))) / u  # with what the sum has lost
    return np.where(x > 0, x + tail, tail)


def mish(x: Array) -> Array:
    """x tanh(softplus(x))."""
    return x * tanh(softplus(x))


def erf(x: Array) -> Array:
    """Error function."""
    size = absolute(x)
    z = x * x
    near = x * _polynomial(
        z, 7.88912294e-5, -8.02084222e-4, 5.18953567e-3, -2.68544443e-2, 1.12836003e-1, -3.7612626e-1, 1.12837911
    )
    t = F(1) / (F(1) + F(0.5) * size)
    p = _polynomial(
        t, 1.19015977e-1, -4.70151514e-1, 5.6187278e-1, -1.02592222e-1, 3.4736082e-1, 2.59801745e-1, 2.84896225e-1,
        -1.53187211e-4,
    )  # fmt: skip
    far = np.where(size < F(4), F(1) - p * exp(-z), F(1))
    return np.where(size < F(1), near, np.where(x < 0, -far, far))


def gelu(x: Array) -> Array:
    """x times the share of a normal distribution below x."""
    return (F(0.5) * x) * (F(1) + erf(x * F(0.707106769)))


def gelu_tanh(x: Array) -> Array:
    """The same by tanh."""
    inner = F(0.797884583) * (x + F(0.0447149985) * ((x * x) * x))
    return (F(0.5) * x) * (F(1) + tanh(inner))


def _quarter(x: Array) -> tuple[Array, Array]:
    n = round_even(x * F(0.636619747))
    r = x - n * F(1.5703125)
    r = r - n * F(4.83751297e-4)
    quarters = np.where(_is_large(n), F(0), n).astype(np.int32) & 3
    return quarters, r - n * F(7.54978942e-8)


def _sine(r: Array) -> Array:
    z = r * r
    p = _polynomial(z, 2.81875782e-6, -1.98487716e-4, 8.33335146e-3, -1.66666672e-1)
    return (p * z) * r + r


def _cosine(r: Array) -> Array:
    z = r * r
    p = _polynomial(z, -7.09338224e-7, 2.51894435e-5, -1.38897076e-3, 4.16666679e-2)
    return ((p * z) * z - F(0.5) * z) + F(1)


def sin(x: Array) -> Array:
    """Sine, of up to some thousands of turns."""
    quarter, r = _quarter(x)
    y = np.where(quarter & 1, _cosine(r), _sine(r))
    return np.where(quarter & 2, -y, y)


def cos(x: Array) -> Array:
    """Cosine, of up to some thousands of turns."""
    quarter, r = _quarter(x)
    y = np.where(quarter & 1, _sine(r), _cosine(r))
    return np.where((quarter + 1) & 2, -y, y)


def power(a: Array, b: Array) -> Array:
    """a^b: whole b of small size by multiplication, others by e^(b log a)."""
    a, b = np.broadcast_arrays(a, b)
    size, whole = absolute(b), floor(b)
    is_whole = ~(whole < b) & ~(whole > b)
    few = is_whole & (size <= F(64))
    n = np.where(few, size, F(0)).astype(np.uint32)
    factor, product = a.copy(), np.ones_like(a)
    while n.any():
        product = np.where(n & 1, product * factor, product)
        factor = factor * factor
        n = n >> 1
    product = np.where(b < 0, F(1) / product, product)
    y = exp(b * log(absolute(a)))
    odd = ~_is_large(b) & ((np.where(few | _is_large(b), F(0), b).astype(np.int32) & 1) == 1)
    negative = np.where(is_whole, np.where(odd, -y, y), F(np.nan))
    return np.where(few, product, np.where(a < 0, negative, y))


#: By name of the C function without its prefix: functions of x and the parameters a and b.
UNARY: dict[str, Callable[[Array, float, float], Array]] = {
    "abs": lambda x, a, b: absolute(x),
    "neg": lambda x, a, b: -x,
    "sign": lambda x, a, b: sign(x),
    "at_least": lambda x, a, b: at_least(x, a),
    "at_most": lambda x, a, b: at_most(x, a),
    "clip": clip,
    "leaky": lambda x, a, b: np.where(x < 0, F(a) * x, F(b) * x),
    "thresholded": lambda x, a, b: np.where(x > F(a), x, F(0)),
    "shrink": lambda x, a, b: np.where(x < F(-a), x + F(b), np.where(x > F(a), x - F(b), F(0))),
    "hard_sigmoid": lambda x, a, b: clip(F(a) * x + F(b), 0, 1),
    "hard_swish": lambda x, a, b: x * clip(F(a) * x + F(b), 0, 1),
    "floor": lambda x, a, b: floor(x),
    "ceil": lambda x, a, b: ceil(x),
    "round": lambda x, a, b: round_even(x),
    "reciprocal": lambda x, a, b: F(1) / x,
    "exp": lambda x, a, b: exp(x),
    "log": lambda x, a, b: log(x),
    "sqrt": lambda x, a, b: sqrt(x),
    "sigmoid": lambda x, a, b: sigmoid(x),
    "silu": lambda x, a, b: silu(x, a),
    "tanh": lambda x, a, b: tanh(x),
    "elu": elu,
    "celu": lambda x, a, b: celu(x, a),
    "softplus": lambda x, a, b: softplus(x),
    "softsign": lambda x, a, b: x / (F(1) + absolute(x)),
    "mish": lambda x, a, b: mish(x),
    "erf": lambda x, a, b: erf(x),
    "gelu": lambda x, a, b: gelu(x),
    "gelu_tanh": lambda x, a, b: gelu_tanh(x),
    "sin": lambda x, a, b: sin(x),
    "cos": lambda x, a, b: cos(x),
}

#: The same, functions of two values.
BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "max": lambda a, b: np.where(a < b, b, a),
    "min": lambda a, b: np.where(a > b, b, a),
    "pow": power,
    "prelu": lambda a, b: np.where(a < 0, a * b, a),
    "add_square": lambda a, b: a + b * b,
    "add_abs": lambda a, b: a + absolute(b),
    "greater": lambda a, b: np.where(a > b, F(1), F(0)),
    "greater_equal": lambda a, b: np.where(a >= b, F(1), F(0)),
    "equal": lambda a, b: np.where(a == b, F(1), F(0)),
    "keep": lambda a, b: np.where((a < 0) | (a > 0), b, F(0)),
}


def unary(name: str, x: Array, a: float = 0.0, b: float = 0.0) -> Array:
    """A function of one value, of float32 values."""
    with np.errstate(all="ignore"):
        return np.asarray(UNARY[name](np.asarray(x, F), a, b), F)


def binary(name: str, a: Array, b: Array) -> Array:
    """A function of two values, of float32 values."""
    with np.errstate(all="ignore"):
        return np.asarray(BINARY[name](np.asarray(a, F), np.asarray(b, F)), F)
