"""int4_rows: 2 rows a byte, for a kernel with vectors of bytes (rows_together.py)."""

from lamella.formats.rows_together import rows_format

BITS = 4
FORMAT = rows_format("int4_rows", BITS)
