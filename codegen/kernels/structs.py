"""C structs that several operators' descriptors contain."""

import numpy as np

from lamella.codegen.cdata import Array, Struct
from lamella.codegen.ir import Requant


def requant(q: Requant, prefix: str = "") -> Struct:
    """lam_requant: a shift of 32 everywhere needs no array."""
    fields = {"multiplier": Array(prefix + "multiplier", "int32_t", q.multiplier.astype(np.int32))}
    if (q.shift != 32).any():
        fields["shift"] = Array(prefix + "shift", "uint8_t", q.shift.astype(np.uint8))
    if q.multiplier.size > 1:
        fields["per_channel"] = 1
    return Struct("", {**fields, "zero": q.zero, "low": q.low, "high": q.high})


def bias(values: np.ndarray, wide: bool = False) -> dict[str, Array | int]:
    """Members `bias` and `narrow_bias` for int32 values: in 16 bits where all fit, unless the kernel wants them wide."""
    narrow = not wide and bool(np.abs(values + 0.5).max(initial=0) < 2**15)
    ctype, dtype = ("int16_t", np.int16) if narrow else ("int32_t", np.int32)
    array = Array("bias", ctype, values.astype(dtype), "zero point of the input folded in")
    return {"bias": array, **({"narrow_bias": 1} if narrow else {})}
