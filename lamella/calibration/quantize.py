"""Every way to quantise a float model, the best of them, and what each layer loses in it."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import numpy as np
import onnx

from lamella.calibration import correct, ends, equalize, floats, loops, ranges, states
from lamella.errors import UnsupportedError
from lamella.output import shorten

#: Samples on which the ways are compared, and of which every tensor is looked at, at most.
COMPARED, TRACED = 64, 16
#: A signal-to-noise ratio where there is no noise.
NO_NOISE = 200.0


@dataclass(frozen=True)
class Trial:
    """One way: how ranges were found, layers equalised first or not, biases corrected or not; dB at the outputs."""

    ranges: str
    equalized: bool
    corrected: bool
    snr_db: float


@dataclass(frozen=True)
class LayerNoise:
    """A layer's output in the quantised network against the float one. added: power of the noise that the noisiest of its
    inputs does not have, as a part of the power of the signal."""

    name: str
    op: str
    snr_db: float
    added: float


@dataclass(frozen=True)
class Calibrated:
    """The quantised model, how it was made, and how near it is. top1: share of samples with the same largest output."""

    model: onnx.ModelProto
    best: Trial
    trials: tuple[Trial, ...]
    layers: tuple[LayerNoise, ...]
    top1: float
    samples: int

    def to_dict(self) -> dict:
        """All but the model, for JSON."""
        return {
            **asdict(self.best),
            "top1_agreement": self.top1,
            "samples": self.samples,
            "trials": [asdict(trial) for trial in self.trials],
            "layers": [asdict(layer) for layer in self.layers],
        }

    @property
    def summary(self) -> str:
        """In a line, what was done and how near the result is."""
        done = [f"ranges by {self.best.ranges}"]
        done += ["layers equalised"] * self.best.equalized + ["biases corrected"] * self.best.corrected
        worst = "" if self.worst is None else f"; {shorten(self.worst.name, 48)} ({self.worst.op}) loses most"
        return (
            f"quantised with {self.samples} samples ({', '.join(done)}): outputs {self.best.snr_db:.1f} dB above the noise, "
            f"the same largest one for {100 * self.top1:.1f} %{worst}"
        )

    @property
    def worst(self) -> LayerNoise | None:
        """The layer that loses most."""
        return max(self.layers, key=lambda layer: layer.added, default=None)


def calibrate(
    model_path: Path,
    samples_path: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    carried: Mapping[str, str] = MappingProxyType({}),
) -> Calibrated:
    """Quantises a float model: int8 weights per channel, uint8 activations.

    samples_path: .npz, one array (N, ...) per model input. carried: outputs by the input that they are in the next call, which
    then share their quantisation; the samples are calls of one stream, and have no arrays for these inputs. With 8 samples or more every other one is kept to compare the ways
    on. UsageError, UnsupportedError: what cannot be read or quantised.
    """
    model = floats.prepared(model_path)
    samples = floats.read_samples(samples_path, model, carried)
    if carried:
        samples = states.with_states(model, samples, carried)
    several = len(next(iter(samples.values()))) >= 8
    found_on = {name: x[::2] if several else x for name, x in samples.items()}
    compared = {name: (x[1::2] if several else x)[:COMPARED] for name, x in samples.items()}
    nodes = {t: node for node in model.graph.node for t in node.output if t}
    plain = next(floats.outputs(model, {n: x[:1] for n, x in found_on.items()}, list(nodes)))
    tensors = [name for name in nodes if plain[name].dtype == np.float32]
    made: list[tuple[Trial, onnx.ModelProto]] = []
    ways = list(product((False, True), (False, True), ranges.METHODS))
    goal = _collect(model, compared, _ends(model))
    for equalized in (False, True):
        changed = _copy(model)
        if equalized and not equalize.equalize_(changed):
            continue
        seen = floats.histograms(*_looked_into(changed, found_on, tensors))
        means = {name: h.channel_means for name, h in seen.items() if h.channel_means is not None}
        for corrected in (False, True):
            final = _copy(changed)
            if corrected and not correct.correct_(final, means):
                continue
            for method, range_of in ranges.METHODS.items():
                limits = states.tied({name: range_of(h) for name, h in seen.items()}, final, carried)
                quantised = _quantised(final, limits, found_on, model_path)
                snr = _snr_of_outputs(model, goal, _collect(quantised, compared, _ends(model)))
                made.append((Trial(method, equalized, corrected, snr), quantised))
                progress(len(made), len(ways))
    best, quantised = max(made, key=lambda pair: pair[0].snr_db)  # the first of equals: the least that was done
    return Calibrated(
        quantised,
        best,
        tuple(trial for trial, _ in made),
        tuple(_layers(model, best, quantised, {name: x[:TRACED] for name, x in compared.items()}, tensors)),
        _top1(model, goal, _collect(quantised, compared, _ends(model))),
        len(next(iter(samples.values()))),
    )


def _layers(
    model: onnx.ModelProto,
    best: Trial,
    quantised: onnx.ModelProto,
    samples: Mapping[str, np.ndarray],
    tensors: Sequence[str],
) -> Iterator[LayerNoise]:
    """What each layer loses."""
    if best.equalized:  # tensors have other scales then: compared with their own float network
        model = _copy(model)
        equalize.equalize_(model)
    tensors = [*samples, *tensors]
    goal = _collect(model, samples, tensors) | samples
    names = {t: f"{t}_DequantizeLinear_Output" for t in tensors}
    theirs = _collect(quantised, samples, [*names, *names.values()])
    return _noise(model, goal, {t: theirs.get(q, theirs.get(t)) for t, q in names.items()})


def _quantised(
    model: onnx.ModelProto, limits: Mapping[str, ranges.Range], samples: Mapping[str, np.ndarray], path: Path
) -> onnx.ModelProto:
    """By onnxruntime, with these ranges."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class First(CalibrationDataReader):
        """One batch: quantize_static wants to see something, though all ranges are given."""

        def __init__(self) -> None:
            shape = {i.name: i.type.tensor_type.shape.dim for i in model.graph.input}
            self.left = [{n: x[: shape[n][0].dim_value or 1] for n, x in samples.items()}]

        def get_next(self) -> dict | None:
            return self.left.pop() if self.left else None

    overrides = {name: [{"rmin": np.float32(low), "rmax": np.float32(high)}] for name, (low, high) in limits.items()}
    with TemporaryDirectory() as folder:
        before, behind = Path(folder) / "float.onnx", Path(folder) / "quantised.onnx"
        onnx.save(model, str(before))
        try:
            with _without_warnings():
                quantize_static(
                    str(before),
                    str(behind),
                    First(),
                    quant_format=QuantFormat.QDQ,
                    per_channel=True,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                    extra_options={"TensorQuantOverrides": overrides},
                )
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UnsupportedError(
                f"{path}: onnxruntime cannot quantise it: {reason}; quantise it with a tool of your choice and give the QDQ file"
            ) from None
        quantised = onnx.load(str(behind))
        loops.quantise_(quantised, limits)
        ends.quantise_(quantised, limits)
        return quantised


def _looked_into(
    model: onnx.ModelProto, samples: Mapping[str, np.ndarray], tensors: Sequence[str]
) -> tuple[onnx.ModelProto, Mapping[str, np.ndarray], list[str]]:
    """What histograms are made of: tensors of the model, its inputs, and those inside its loops."""
    opened, inner = loops.opened(model)
    return opened, samples, [*tensors, *inner]


@contextmanager
def _without_warnings() -> Iterator[None]:
    """onnxruntime asks for a preparation that was done."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    return other


def _ends(model: onnx.ModelProto) -> list[str]:
    return [o.name for o in model.graph.output]


def _collect(model: onnx.ModelProto, samples: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    parts = list(floats.outputs(model, samples, names))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def snr_db(signal: np.ndarray, noisy: np.ndarray) -> float:
    """10 log10 of the power of a signal to that of the difference; at most 200."""
    signal, noisy = signal.astype(np.float64), noisy.astype(np.float64)
    noise, power = ((signal - noisy) ** 2).sum(), (signal**2).sum()
    if noise == 0:
        return NO_NOISE
    return float(np.clip(10 * np.log10(max(power, 1e-300) / noise), -NO_NOISE, NO_NOISE))


def _snr_of_outputs(model: onnx.ModelProto, goal: Mapping[str, np.ndarray], got: Mapping[str, np.ndarray]) -> float:
    """Of the worst output."""
    return min(snr_db(goal[name], got[name]) for name in _ends(model))


def _noise(
    model: onnx.ModelProto, goal: Mapping[str, np.ndarray], got: Mapping[str, np.ndarray | None]
) -> Iterator[LayerNoise]:
    """Layer by layer. What onnxruntime fused into the node behind it counts as one layer with that."""
    made = {t for node in model.graph.node for t in node.output}
    found = {t: snr_db(goal[t], x) for t, x in got.items() if t not in made and x is not None}
    fused: dict[str, onnx.NodeProto] = {}
    for node in model.graph.node:
        into = next((fused[t] for t in node.input if t in fused), node)
        inputs = min((found[t] for t in node.input if t in found), default=NO_NOISE)
        tensors = [t for t in node.output if got.get(t) is not None]
        if not tensors:
            found |= dict.fromkeys(node.output, inputs)
            fused |= dict.fromkeys(node.output, into)
            continue
        snr = min(snr_db(goal[t], got[t]) for t in tensors)
        found |= dict.fromkeys(tensors, snr)
        kind = into.op_type if into is node else f"{into.op_type} + {node.op_type}"
        yield LayerNoise(into.name or into.output[0], kind, snr, max(0.0, 10 ** (-snr / 10) - 10 ** (-inputs / 10)))


def _top1(model: onnx.ModelProto, goal: Mapping[str, np.ndarray], got: Mapping[str, np.ndarray]) -> float:
    shares = []
    for name in _ends(model):
        a, b = (x[name].reshape(len(x[name]), -1) for x in (goal, got))
        shares.append((a.argmax(axis=1) == b.argmax(axis=1)).mean())
    return float(min(shares))
