"""Calls C kernels through cffi with the very descriptors the generator would print."""

import numpy as np

from lamella.codegen import cdata, kernels


class Built:
    """A cffi descriptor with everything it points to kept alive."""

    def __init__(self, lam, struct: cdata.Struct):
        self.ffi, self.lib = lam
        self._keep = []
        self.pointer = self.ffi.new(f"{struct.ctype} *")
        self._fill(self.pointer, struct)

    def _fill(self, target, struct: cdata.Struct) -> None:
        for key, value in struct.fields.items():
            if isinstance(value, cdata.Struct):
                self._fill(getattr(target, key), value)
            else:
                setattr(target, key, self._value(value))

    def _value(self, value):
        if isinstance(value, cdata.Array):
            # Exactly as many bytes as there are, so that a sanitizer sees every step beyond them.
            array = self.ffi.new(f"{value.ctype}[]", value.values.reshape(-1).tolist())
            self._keep.append(array)
            return array
        if isinstance(value, cdata.StructArray):
            array = self.ffi.new(f"{value.ctype}[]", len(value.items))
            self._keep.append(array)
            for target, item in zip(array, value.items, strict=True):
                self._fill(target, item)
            return array
        if isinstance(value, cdata.Symbol):
            found = getattr(self.lib, value.name)
            return found if isinstance(found, int) else self.ffi.addressof(self.lib, value.name)
        return self.ffi.NULL if value is None else value


def run_node(lam, graph, node, inputs: list[np.ndarray]) -> np.ndarray:
    """The result of the kernel chosen for a node; scratch has exactly the planned size."""
    ffi, lib = lam
    kernel = kernels.get(node.choice.kernel)
    built = Built(lam, kernel.describe(graph, node))
    xs = [ffi.new("uint8_t[]", x.tobytes()) for x in inputs]
    y = ffi.new("uint8_t[]", graph.tensors[node.output].bytes)
    arguments = [ffi.new("const uint8_t *[]", xs)] if kernel.takes_array else xs
    if kernel.takes_scratch:
        words = -(-node.choice.scratch_bytes // 4)
        arguments = [*arguments, y, ffi.new("uint32_t[]", words) if words else ffi.NULL]
    else:
        arguments = [*arguments, y]
    getattr(lib, kernel.function)(built.pointer, *arguments)
    result = graph.tensors[node.output]
    return np.frombuffer(ffi.buffer(y), np.float32 if result.is_float else np.uint8).reshape(result.shape).copy()


def equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two results are equal to the last bit; which NaN a NaN is makes no difference."""
    if a.dtype != np.float32:
        return a.dtype == b.dtype and np.array_equal(a, b)
    same = np.ascontiguousarray(a).view(np.uint32) == np.ascontiguousarray(b).view(np.uint32)
    return a.shape == b.shape and b.dtype == np.float32 and bool((same | (np.isnan(a) & np.isnan(b))).all())


def thinned(choices):
    """Of the ways of each kernel as few as hold every format and every set of parameters."""
    ways: dict[str, dict] = {}
    for c in choices:
        ways.setdefault(c.kernel, {})[c.format, tuple(sorted(c.parameters.items()))] = c
    for found in ways.values():
        formats, parameters = (list(dict.fromkeys(key[k] for key in found)) for k in (0, 1))
        for i in range(max(len(formats), len(parameters))):
            yield found[formats[i % len(formats)], parameters[i % len(parameters)]]
