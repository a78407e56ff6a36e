"""Where results go: looking ahead in an ONNX graph for the quantisation and the range that a float tensor gets."""

from collections.abc import Callable
from dataclasses import replace
from math import floor
from pathlib import Path

import numpy as np
import onnx

from lamella.codegen import operators
from lamella.codegen.ir import Quantization, Sink
from lamella.codegen.onnx_constants import Constants
from lamella.errors import UnsupportedError


class Sinks(Constants):
    """Who reads which tensor of the file, and what has been folded into the operator before it."""

    def __init__(self, model: onnx.ModelProto, path: Path):
        super().__init__(model, path)
        self._absorbed: set[int] = set()  # nodes already folded into another, by id
        self._renamed: dict[str, list[str]] = {}  # float tensor -> results of the absorbed nodes behind it
        self._consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self._consumers.setdefault(name, []).append(node)
        self._outputs = {o.name for o in model.graph.output}

    def sink(self, node: onnx.NodeProto, output: str | None = None) -> Sink:
        """Quantisation and range that the result of a node gets; Relu and Clip on the way are folded in and absorbed.

        Operators that keep quantised values (pooling by maximum, reshaping, padding) may stand in between.
        """
        return self._sink(output or node.output[0], lambda why: self.unsupported(node, why), absorb=True)

    def _sink(self, name: str, fail: Callable[[str], UnsupportedError], absorb: bool) -> Sink:
        consumers = [n for n in self._consumers.get(name, []) if n.op_type != "Shape"]  # which needs no values
        if name in self._outputs or not consumers:
            raise fail(f"{name!r} is not quantised; put QuantizeLinear and DequantizeLinear behind it")
        alone = absorb and len(consumers) == 1
        found = {self._sink_at(consumer, name, fail, alone) for consumer in consumers}
        if len(found) > 1:
            raise fail(f"{name!r} is quantised in different ways; use one scale")
        return found.pop()

    def _sink_at(
        self, consumer: onnx.NodeProto, name: str, fail: Callable[[str], UnsupportedError], alone: bool
    ) -> Sink:
        """What one reader of a float tensor says of its quantisation; `alone`: a Relu or Clip may be absorbed."""
        known = operators.by_onnx_type().get(consumer.op_type)
        if consumer.op_type == "QuantizeLinear":
            quantization, raw = self.quantization(consumer)
            return Sink(quantization, raw=raw)
        if consumer.op_type in ("Identity", "Dropout"):
            self._renamed.setdefault(name, []).append(consumer.output[0])
            return self._sink(consumer.output[0], fail, alone)
        if consumer.op_type in ("Relu", "Clip"):
            inner = self._sink(consumer.output[0], fail, alone)
            if not alone:
                return replace(inner, low=0, high=255)
            low, high = self.clip_bounds(consumer, inner.quantization)
            self.absorb_behind(consumer, name)
            return replace(inner, low=max(inner.low, low), high=min(inner.high, high))
        if known is not None and known.keeps_quantization and consumer.input[0] == name:
            used = [o for o in consumer.output if o in self._outputs or self._consumers.get(o)]
            found = {self._sink(output, fail, absorb=False) for output in used or consumer.output[:1]}
            if len(found) > 1:
                raise fail(f"parts of {name!r} are quantised in different ways; use one scale")
            return found.pop()
        raise fail(
            f"{name!r} goes to {self.label(consumer)} without being quantised; "
            "put QuantizeLinear and DequantizeLinear in between"
        )

    def is_used(self, name: str) -> bool:
        """Whether anything reads an ONNX tensor, or the model gives it out."""
        return name in self._outputs or bool(self._consumers.get(name))

    def consumers(self, name: str) -> list[onnx.NodeProto]:
        """The nodes that read an ONNX tensor."""
        return list(self._consumers.get(name, []))

    def is_output(self, name: str) -> bool:
        """Whether the model gives an ONNX tensor out."""
        return name in self._outputs

    def only_consumer(self, name: str) -> onnx.NodeProto | None:
        """The node that reads an ONNX tensor, if there is just one and the tensor is no output of the model."""
        consumers = self._consumers.get(name, [])
        return consumers[0] if len(consumers) == 1 and name not in self._outputs else None

    def absorb(self, node: onnx.NodeProto) -> None:
        """Mark a node as done: it has become part of the one being read."""
        self._absorbed.add(id(node))

    def absorb_behind(self, node: onnx.NodeProto, source: str) -> None:
        """A node that has become part of the operator before it, whose result is `source`: its output is that operator's."""
        self._absorbed.add(id(node))
        self._renamed.setdefault(source, []).append(node.output[0])

    def clip_bounds(self, node: onnx.NodeProto, quantization: Quantization) -> tuple[int, int]:
        """Relu or Clip as a range of quantised values: bound -> zero + floor(bound / scale + 1/2), within 0..255."""
        low, high = self.bounds(node)

        def level(bound: float | None, missing: int) -> int:
            if bound is None:
                return missing
            value = bound / quantization.scale + 0.5
            return min(255, max(0, quantization.zero + floor(min(max(value, -1e9), 1e9))))

        low, high = level(low, 0), level(high, 255)
        return low, max(low, high)

    def bounds(self, node: onnx.NodeProto) -> tuple[float | None, float | None]:
        """Relu or Clip as a range of real numbers."""
        if node.op_type == "Relu":
            return 0.0, None
        old = self.attributes(node, min=None, max=None)
        found = (self.constant(node, 1, old["min"]), self.constant(node, 2, old["max"]))
        return tuple(None if bound is None else float(np.asarray(bound).reshape(-1)[0]) for bound in found)
