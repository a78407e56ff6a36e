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
