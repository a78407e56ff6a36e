"""ternary_fours: 4 columns of a row a byte, 2 bits a weight, for a kernel that looks up their sum (ternary_sums.py)."""

from lamella.formats.ternary_sums import sums_format

DIGITS = 4
FORMAT = sums_format(
    "ternary_fours", "2 bits a weight, levels -1, 0, 1, 4 columns a byte, to look up their sum", DIGITS
)
