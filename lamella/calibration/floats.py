"""A float model in one plain form, and what its tensors hold for samples of its input."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from lamella.calibration.layers import drop_unused_
from lamella.codegen.rewrites import recurrent
from lamella.codegen.rewrites.editor import Editor
from lamella.codegen.sources import onnx_file
from lamella.errors import UnsupportedError, UsageError

#: Samples that run at once, where the model takes several.
BATCH = 16
#: Bars of a histogram.
BINS = 2048
#: Quantisation to one scale per channel came with it.
LEAST_OPSET = 13


def is_float(path: Path) -> bool:
    """Whether a file is an ONNX model without a quantised tensor. False for what cannot be read: the reader says why."""
    try:
        nodes = onnx.load(str(path), load_external_data=False).graph.node
    except Exception:
        return False
    return bool(nodes) and not any("Quant" in n.op_type or n.op_type.startswith(("QLinear", "QGemm")) for n in nodes)


def prepared(path: Path) -> onnx.ModelProto:
    """The float model with its constants folded and BatchNorm in the weights (onnxruntime's basic optimisations), recurrent
    layers as loops, shapes inferred. UnsupportedError where it is quantised already, UsageError where it cannot be read."""
    import onnxruntime

    model = onnx_file.parse(path)
    if not is_float(path):
        raise UnsupportedError(f"{path}: quantised already; leave --calibrate out")
    try:
        opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=LEAST_OPSET)
        if opset < LEAST_OPSET:
            model = onnx.version_converter.convert_version(model, LEAST_OPSET)
        with TemporaryDirectory() as folder:
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
            options.optimized_model_filepath = str(Path(folder) / "plain.onnx")
            options.log_severity_level = 3
            onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
            plain = onnx.load(options.optimized_model_filepath)
        return onnx.shape_inference.infer_shapes(_written_out(plain))
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(f"{path}: onnxruntime does not load it: {reason}; export it again") from None


def ports(path: Path) -> tuple[list[str], list[str]]:
    """Names of a file's inputs and outputs."""
    graph = onnx_file.parse(path).graph
    constant = {t.name for t in graph.initializer}
    return [i.name for i in graph.input if i.name not in constant], [o.name for o in graph.output]


def _written_out(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with RNN, GRU and LSTM as loops."""
    editor = Editor(model)
    recurrent.apply(editor)
    model = editor.finish()
    drop_unused_(model)
    return model


def read_samples(path: Path, model: onnx.ModelProto, states: Collection[str] = ()) -> dict[str, np.ndarray]:
    """float32 arrays (N, ...) by input name, from an .npz with one array per model input but those that are states."""
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
    except Exception as error:
        raise UsageError(
            f"--calibrate {path}: not a readable .npz file ({type(error).__name__}); write it with numpy.savez"
        ) from None
    apart = {t.name for t in model.graph.initializer} | {*states}
    wanted = [i for i in model.graph.input if i.name not in apart]
    names = [i.name for i in wanted]
    if sorted(arrays) != sorted(names):
        raise UsageError(
            f"--calibrate {path}: holds arrays {sorted(arrays)}, but the model's inputs are {names}; name them alike"
        )
    for info in wanted:
        array, dims = arrays[info.name], [d.dim_value for d in info.type.tensor_type.shape.dim]
        if array.ndim != len(dims) or any(d not in (0, n) for d, n in zip(dims[1:], array.shape[1:], strict=True)):
            raise UsageError(
                f"--calibrate {path}: {info.name!r} has the shape {array.shape}, wanted (N, {', '.join(map(str, dims[1:]))})"
            )
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise UsageError(f"--calibrate {path}: {info.name!r} holds values that are no finite numbers")
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) != 1 or not next(iter(counts.values())):
        raise UsageError(f"--calibrate {path}: wanted as many samples for each input, and one at least, not {counts}")
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def outputs(model: onnx.ModelProto, samples: Mapping[str, np.ndarray], names: Sequence[str]) -> Iterator[dict]:
    """Tensors of the model by name, batch after batch. Names that the model does not have are left out."""
    known = {i.name: i for i in (*model.graph.value_info, *model.graph.output, *model.graph.input)}
    made = {t for node in model.graph.node for t in node.output}
    wanted = [name for name in names if name in made]
    seen = onnx.ModelProto()
    seen.CopyFrom(model)
    del seen.graph.output[:]
    seen.graph.output.extend(
        known.get(name) or onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in wanted
    )
    running = session(seen)
    fixed = {i.name: i.shape[0] for i in running.get_inputs() if i.shape and isinstance(i.shape[0], int)}
    step, total = min(fixed.values(), default=BATCH), len(next(iter(samples.values())))
    for start in range(0, total - total % step if fixed else total, step):
        part = {name: array[start : start + step] for name, array in samples.items()}
        yield part | dict(zip(wanted, running.run(wanted, part), strict=True))


def session(model: onnx.ModelProto):
    """onnxruntime with a model, which it runs as it stands."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


@dataclass
class Histogram:
    """How often a tensor has which values: BINS bars between the least and the largest; and the mean of each channel."""

    low: float
    high: float
    counts: np.ndarray
    channel_means: np.ndarray | None

    @property
    def centres(self) -> np.ndarray:
        """Middle of each bar."""
        width = (self.high - self.low) / BINS
        return self.low + width * (np.arange(BINS) + 0.5)


def histograms(model: onnx.ModelProto, samples: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, Histogram]:
    """Of each float tensor, over all samples: one run for the ends, one for the bars."""
    ends: dict[str, tuple[float, float]] = {}
    means: dict[str, list[np.ndarray]] = {}
    for values in outputs(model, samples, names):
        for name, x in values.items():
            if x.dtype == np.float32 and x.size:
                low, high = ends.get(name, (np.inf, -np.inf))
                ends[name] = min(low, float(x.min())), max(high, float(x.max()))
                if x.ndim >= 2:
                    means.setdefault(name, []).append(np.moveaxis(x, 1, 0).reshape(x.shape[1], -1).mean(axis=1))
    found = {}
    for name, (low, high) in ends.items():
        if not np.isfinite([low, high]).all():
            raise UsageError(f"tensor {name!r}: the float model itself computes values that are not finite")
        alike = len({len(mean) for mean in means.get(name, ())}) == 1  # else axis 1 is the batch
        channel = np.mean(means[name], axis=0) if alike else None
        # Of one value only: bars around it that are wide enough for 64 bits.
        found[name] = Histogram(low, max(high, low + 1e-30, low + 1e-9 * abs(low)), np.zeros(BINS, np.int64), channel)
    for values in outputs(model, samples, names):
        for name, x in values.items():
            if name in found:
                h = found[name]
                at = ((x.astype(np.float64).ravel() - h.low) * (BINS / (h.high - h.low))).astype(np.int64)
                h.counts += np.bincount(at.clip(0, BINS - 1), minlength=BINS)
    return found
