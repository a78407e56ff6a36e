"""Inputs and outputs of a model as arrays: npz files, seeded test vectors, and the raw bytes that programs exchange."""

import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from lamella import files, requant
from lamella.codegen import ports
from lamella.codegen.ir import Graph, Port
from lamella.errors import UsageError

SEEDED_VECTORS = 16


def read_inputs(path: str | Path, graph: Graph) -> dict[str, np.ndarray]:
    """Raw integer inputs by port name, from an npz with one array (N, ...) per model input."""
    path = Path(path)
    arrays = _arrays(path, "model input")
    wanted = [port.name for port in graph.caller_inputs]
    if sorted(arrays) != sorted(wanted):
        raise UsageError(f"{path}: holds arrays {sorted(arrays)}, but the model's inputs are {wanted}; name them alike")
    raw = {port.name: _raw(path, port, graph, arrays[port.name]) for port in graph.caller_inputs}
    counts = {name: len(array) for name, array in raw.items()}
    if len(set(counts.values())) > 1:
        raise UsageError(f"{path}: the arrays differ in their number of samples: {counts}")
    if not next(iter(counts.values())):
        raise UsageError(f"{path}: holds no sample")
    return raw


def _arrays(path: Path, each: str) -> dict[str, np.ndarray]:
    """What an npz holds; each: what there should be an array for."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file; give an .npz with one array per {each}")
    try:
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise UsageError(f"{path}: not a readable .npz file ({error}); write it with numpy.savez") from None


def read_first(path: Path, graph: Graph, names: Collection[str]) -> dict[str, np.ndarray]:
    """States before the first call, as they are inside, by name of their input, of an npz with some of these: shape (1, ...)."""
    named = {port.name: port for port in graph.inputs if port.name in names}
    arrays = _arrays(path, "state")
    if strange := sorted(arrays.keys() - named.keys()):
        raise UsageError(f"{path}: holds {strange}, but the states are {sorted(named)}; name them like the inputs")
    raw = {name: _raw(path, named[name], graph, array) for name, array in arrays.items()}
    if wrong := [name for name, array in raw.items() if len(array) != 1]:
        raise UsageError(
            f"{path}: {wrong[0]!r} holds {len(raw[wrong[0]])} values of the state; one is wanted, (1, ...)"
        )
    return {name: ports.inside(array, named[name]) for name, array in raw.items()}


def state_inputs(graph: Graph, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Raw values of the inputs that are states, of every call of a stream. outputs: in the model's types, (N, ...) or
    (N, values)."""
    named = {port.name: port for port in (*graph.inputs, *graph.outputs)}
    found = {}
    for state in graph.states:
        x, y = named[state.before], named[state.after]
        left = quantize(y, graph, outputs[y.name]) if y.dtype == "float32" else outputs[y.name]
        first = ports.outside(state.first, x)
        found[x.name] = np.concatenate([first, left[:-1].reshape(-1, *first.shape[1:])])
    return found


def read_expected(path: str | Path, graph: Graph, samples: int) -> dict[str, np.ndarray]:
    """Raw integer outputs by port name, from an npz as `lamella run` and `lamella vectors` write it."""
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as data:
            found = {p.name: data[p.name if p.dtype == p.raw_dtype else f"{p.name}__q"] for p in graph.caller_outputs}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise UsageError(
            f"{path}: holds no raw outputs of this model ({error}); write it with `lamella run` or `lamella vectors`"
        ) from None
    for port in graph.caller_outputs:
        wanted = (samples, *graph.tensor_of(port).shape[1:])
        if found[port.name].shape != wanted or found[port.name].dtype != port.raw_dtype:
            raise UsageError(
                f"{path}: {port.name!r} is {found[port.name].dtype} {found[port.name].shape}, wanted {port.raw_dtype} {wanted}"
            )
    return found


def _raw(path: Path, port: Port, graph: Graph, array: np.ndarray) -> np.ndarray:
    shape = graph.tensor_of(port).shape[1:]
    if array.ndim != len(shape) + 1 or array.shape[1:] != shape:
        raise UsageError(
            f"{path}: {port.name!r} has shape {array.shape}; the model wants (samples, {', '.join(map(str, shape))})"
        )
    if array.dtype != np.dtype(port.dtype):
        raise UsageError(f"{path}: {port.name!r} has element type {array.dtype}; the model wants {port.dtype}")
    if port.dtype != "float32":
        return array
    if not np.isfinite(array).all():
        raise UsageError(f"{path}: {port.name!r} holds NaN or infinity")
    return quantize(port, graph, array)


def quantize(port: Port, graph: Graph, array: np.ndarray) -> np.ndarray:
    """Raw values of a float32 input, as the graph's QuantizeLinear computes them."""
    if port.raw_dtype == "float32":
        return np.asarray(array, np.float32)
    q = graph.tensor_of(port).quantization
    return requant.quantize_input(array, q.scale, q.zero - port.offset, np.dtype(port.raw_dtype).type)


def dequantize(port: Port, graph: Graph, raw: np.ndarray) -> np.ndarray:
    """The float32 output that DequantizeLinear computes from raw integers."""
    if port.raw_dtype == "float32":
        return raw
    q = graph.tensor_of(port).quantization
    return (raw.astype(np.int32) - (q.zero - port.offset)).astype(np.float32) * np.float32(q.scale)


def in_model_type(port: Port, graph: Graph, raw: np.ndarray) -> np.ndarray:
    """What the model itself takes for raw values."""
    return dequantize(port, graph, raw) if port.dtype == "float32" else raw


def seeded(graph: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    """16 random vectors over the full quantised range, then all-minimum and all-maximum."""
    rng = np.random.default_rng(seed)
    found = {}
    for port in graph.caller_inputs:
        shape = graph.tensor_of(port).shape[1:]
        if port.raw_dtype == "float32":
            found[port.name] = floats(rng, (SEEDED_VECTORS + 2, *shape))
            continue
        info = np.iinfo(port.raw_dtype)
        random = rng.integers(info.min, info.max, (SEEDED_VECTORS, *shape), endpoint=True)
        edges = [np.full((1, *shape), value) for value in (info.min, info.max)]
        found[port.name] = np.concatenate([random, *edges]).astype(port.raw_dtype)
    return found


def floats(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """float32 inputs of an unquantised model: normal, of variance 1."""
    return rng.normal(0, 1, shape).astype(np.float32)


def different(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where values differ, of float32 values their bits; which NaN a NaN is makes no difference."""
    if a.dtype != np.float32:
        return a != b
    bits = (np.ascontiguousarray(v).view(np.uint32) for v in (a, b))
    return np.not_equal(*bits) & ~(np.isnan(a) & np.isnan(b))


def samples_of(raw: Mapping[str, np.ndarray]) -> int:
    """The number of samples."""
    return len(next(iter(raw.values())))


def to_bytes(ports: tuple[Port, ...], raw: Mapping[str, np.ndarray]) -> bytes:
    """Samples one after the other, each all ports one after the other."""
    flat = [raw[port.name].reshape(len(raw[port.name]), -1).view(np.uint8) for port in ports]
    return np.ascontiguousarray(np.concatenate(flat, axis=1)).tobytes()


def from_bytes(ports: tuple[Port, ...], graph: Graph, data: bytes, samples: int) -> dict[str, np.ndarray]:
    """The inverse of to_bytes."""
    sizes = [graph.tensor_of(port).bytes for port in ports]
    flat = np.frombuffer(data, np.uint8).reshape(samples, sum(sizes))
    starts = np.cumsum([0, *sizes])
    return {
        port.name: np.ascontiguousarray(flat[:, a:b])
        .view(port.raw_dtype)
        .reshape(samples, *graph.tensor_of(port).shape[1:])
        for port, a, b in zip(ports, starts, starts[1:], strict=False)
    }


def write_outputs(path: str | Path, graph: Graph, raw: Mapping[str, np.ndarray]) -> None:
    """An npz with one array per output in the model's type, and `<name>__q`, the raw integers, where that is float."""
    arrays = {}
    for port in graph.caller_outputs:
        if port.dtype != port.raw_dtype:
            arrays[port.name] = dequantize(port, graph, raw[port.name])
            arrays[f"{port.name}__q"] = raw[port.name]
        else:
            arrays[port.name] = raw[port.name]
    write_npz(path, arrays)


def write_npz(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """An npz, written aside and renamed."""
    files.replace(path, lambda file: np.savez(file, **arrays))
