"""ternary_fives: 5 columns of a row a byte, 1.6 bits a weight, for a kernel that looks up their sum (ternary_sums.py)."""

from lamella.formats.ternary_sums import sums_format

DIGITS = 5
FORMAT = sums_format(
    "ternary_fives", "1.6 bits a weight, levels -1, 0, 1, 5 columns a byte, to look up their sum", DIGITS
)
