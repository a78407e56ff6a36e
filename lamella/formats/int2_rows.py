"""int2_rows: 4 rows a byte, for a kernel with vectors of bytes (rows_together.py)."""

from lamella.formats.rows_together import rows_format

BITS = 2
FORMAT = rows_format("int2_rows", BITS)
