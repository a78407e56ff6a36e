"""The entropy coder of the formats that have one: a range variant of asymmetric numeral systems (rANS), 31 bits.

A coder's whole state is one number x. To take a symbol with frequency f of 2^bits off it, a decoder looks at the low
bits of x, finds the symbol whose interval [start, start + f) holds them, and puts x = f * (x >> bits) + low - start;
then it appends bytes to x while x is below 2^23. An encoder does the opposite, from the last symbol to the first.
"""

from collections.abc import Sequence

import numpy as np

LOWEST = 1 << 23  # x lies in LOWEST .. 256 * LOWEST - 1 between symbols
START_BYTES = 4

#: (start, frequency, bits) of one symbol. Frequency 1 is a number `start` of `bits` bits.
Step = tuple[int, int, int]


def encode(steps: Sequence[Step]) -> bytes:
    """The bytes from which a `Decoder` takes the same steps."""
    x = LOWEST
    out = bytearray()
    for start, frequency, bits in reversed(steps):
        limit = frequency << (31 - bits)
        while x >= limit:
            out.append(x & 255)
            x >>= 8
        x = (x // frequency << bits) + x % frequency + start
    return x.to_bytes(START_BYTES, "big") + bytes(reversed(out))


class Decoder:
    """Takes symbols off the bytes that `encode` wrote; IndexError where these end too early."""

    def __init__(self, data: bytes):
        self._data = data
        if len(data) < START_BYTES:
            raise IndexError
        self._x = int.from_bytes(data[:START_BYTES], "big")
        self._next = START_BYTES

    def low(self, bits: int) -> int:
        """The bits that decide which symbol comes next."""
        return self._x & ((1 << bits) - 1)

    def take(self, start: int, frequency: int, bits: int) -> None:
        """Removes the symbol whose interval held `low(bits)`."""
        x = frequency * (self._x >> bits) + self.low(bits) - start
        while x < LOWEST:
            x = x << 8 | self._data[self._next]
            self._next += 1
        self._x = x

    def number(self, bits: int) -> int:
        """The next number of so many bits."""
        value = self.low(bits)
        self.take(value, 1, bits)
        return value


def ideal_bits(counts: np.ndarray, frequencies: np.ndarray, bits: int) -> float:
    """Bits that symbols with such counts take when coded with frequencies of 2^bits."""
    return float((counts * (bits - np.log2(frequencies))).sum())
