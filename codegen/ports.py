"""Values at the edge of a graph: as the file has them, and as they are inside."""

import numpy as np

from lamella.codegen.ir import Port


def inside(raw: np.ndarray, port: Port) -> np.ndarray:
    """Values of a graph's tensor from the raw values of its port."""
    return raw if raw.dtype == np.float32 else (raw.astype(np.int16) + port.offset).astype(np.uint8)


def outside(values: np.ndarray, port: Port) -> np.ndarray:
    """The inverse of inside."""
    return values if values.dtype == np.float32 else (values.astype(np.int16) - port.offset).astype(port.raw_dtype)
