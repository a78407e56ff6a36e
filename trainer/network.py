"""The network while it is compressed: the nodes of a Graph, each with its weights and its quantiser."""

import copy
from collections.abc import Iterable
from functools import singledispatchmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lamella.errors import PlatformError, UsageError
from lamella.trainer.fake_quantize import ActivationQuantizer, Affine
from lamella.trainer.functions import FUNCTIONS
from lamella.trainer.graph import (
    AddNode,
    AveragePoolNode,
    ClipNode,
    ConcatNode,
    DropoutNode,
    FlattenNode,
    FunctionNode,
    Graph,
    InputNode,
    LayerNode,
    MaxPoolNode,
    MultiplyNode,
    Node,
    ScanNode,
    SliceNode,
    SoftmaxNode,
    StepNode,
    SubtractNode,
    TransposeNode,
)
from lamella.trainer.layers import WeightLayer
from lamella.trainer.rules import rule_from_dict, rule_to_dict

#: Class probabilities lie in 0..1; this is the scale TFLite and onnxruntime give them too.
SOFTMAX_AFFINE = Affine(1.0 / 256.0, 0)


class QuantNetwork(nn.Module):
    """Runs a Graph. forward takes (N, ...) float32 and gives class scores (N, classes), before a final softmax; behind a final
    LogSoftmax, so that a loop with NLLLoss finds what it expects."""

    def __init__(self, graph: Graph, source: nn.Module, *, learned_ranges: bool):
        super().__init__()
        self.graph = graph
        self.layers = nn.ModuleDict({node.name: WeightLayer(node, source) for node in graph.layers})
        self.quantizers = nn.ModuleDict(
            {
                node.name: ActivationQuantizer(
                    node.clip, learned=learned_ranges and node is not graph.input, widest=node is graph.input
                )
                for node in graph.quantised
            }
        )
        if isinstance(graph.output, SoftmaxNode):
            self.quantizers[graph.output.name].fix_(SOFTMAX_AFFINE)
        for node in graph.quantised:
            if isinstance(node, FunctionNode) and (affine := FUNCTIONS[node.function].affine) is not None:
                self.quantizers[node.name].fix_(affine)
        # Rounding after the max-poolings behind a node instead of before them gives the same values from fewer of them.
        self._round_at = {}
        for node in graph.quantised:
            pools = graph.pools_behind(node.name)
            self._round_at[pools[-1].name if pools else node.name] = node.name
        # One memory layout from the start: another adds in another order, and a resumed run must round as an unbroken one.
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        values: dict[str, Tensor] = {}
        for node in self.graph:
            if isinstance(node, SoftmaxNode):
                return values[node.inputs[0]]
            y = x if isinstance(node, InputNode) else self._run(node, [values[name] for name in node.inputs])
            values[node.name] = self._rounded(node, y)
        scores = values[self.graph.output.name]
        return F.log_softmax(scores, 1) if self.graph.log_scores else scores

    def _rounded(self, node: Node, y: Tensor) -> Tensor:
        """What later nodes see of a node's result."""
        return self.quantizers[self._round_at[node.name]](y) if node.name in self._round_at else y

    @singledispatchmethod
    def _run(self, node: Node, inputs: list[Tensor]) -> Tensor:
        raise TypeError(f"no forward for {type(node).__name__}")

    @_run.register
    def _(self, node: LayerNode, inputs: list[Tensor]) -> Tensor:
        return self.layers[node.name](inputs[0])

    @_run.register
    def _(self, node: MaxPoolNode, inputs: list[Tensor]) -> Tensor:
        pool = F.max_pool1d if len(node.kernel) == 1 else F.max_pool2d
        return pool(inputs[0], node.kernel, node.stride, node.padding, node.dilation)

    @_run.register
    def _(self, node: AveragePoolNode, inputs: list[Tensor]) -> Tensor:
        pool = F.avg_pool1d if len(node.kernel) == 1 else F.avg_pool2d
        y = pool(inputs[0], node.kernel, node.stride, node.padding, count_include_pad=node.count_padding)
        return y.reshape(-1, *node.shape)

    @_run.register
    def _(self, node: AddNode, inputs: list[Tensor]) -> Tensor:
        return inputs[0] + inputs[1]

    @_run.register
    def _(self, node: SubtractNode, inputs: list[Tensor]) -> Tensor:
        return inputs[0] - inputs[1]

    @_run.register
    def _(self, node: MultiplyNode, inputs: list[Tensor]) -> Tensor:
        return inputs[0] * inputs[1]

    @_run.register
    def _(self, node: FunctionNode, inputs: list[Tensor]) -> Tensor:
        return FUNCTIONS[node.function].torch(inputs[0], node.parameter)

    @_run.register
    def _(self, node: SliceNode, inputs: list[Tensor]) -> Tensor:
        return inputs[0].narrow(-1, node.start, node.shape[-1])

    @_run.register
    def _(self, node: TransposeNode, inputs: list[Tensor]) -> Tensor:
        return inputs[0].transpose(1, 2)

    @_run.register
    def _(self, node: ScanNode, inputs: list[Tensor]) -> Tensor:
        (x,) = inputs
        layers = [n.name for n in node.body if isinstance(n, LayerNode)]
        weights = {name: self.layers[name].rule.weight(self.layers[name]) for name in layers}
        values = {state.next: x.new_zeros(len(x), *state.shape) for state in node.states}
        results = []
        for step in x.unbind(1):
            values = {state.name: values[state.next] for state in node.states}
            for inner in node.body:
                if isinstance(inner, StepNode):
                    values[inner.name] = step
                elif inner.name in weights:
                    y = self.layers[inner.name](values[inner.inputs[0]], weights[inner.name])
                    values[inner.name] = self._rounded(inner, y)
                elif inner.name not in values:
                    y = self._run(inner, [values[name] for name in inner.inputs])
                    values[inner.name] = self._rounded(inner, y)
            results.append(values[node.result])
        for inner in node.body:
            if inner.name in self._round_at and self.quantizers[inner.name].mode == "observe":
                self.quantizers[inner.name].merge_seen_(len(results))
        return torch.stack(results, 1) if node.sequence else results[-1]

    @_run.register
    def _(self, node: ConcatNode, inputs: list[Tensor]) -> Tensor:
        return torch.cat(inputs, 1)

    @_run.register
    def _(self, node: ClipNode, inputs: list[Tensor]) -> Tensor:
        return inputs[0]  # the quantiser clips

    @_run.register
    def _(self, node: FlattenNode, inputs: list[Tensor]) -> Tensor:
        return inputs[0].flatten(1)

    @_run.register
    def _(self, node: DropoutNode, inputs: list[Tensor]) -> Tensor:
        return F.dropout(inputs[0], node.probability, self.training)

    @property
    def compressible(self) -> tuple[str, ...]:
        """Names of the layers that pruning and collapsing may touch, in order of execution."""
        return tuple(name for name, layer in self.layers.items() if layer.compressible)

    def compile_(self, on: bool) -> None:
        """Rounds activations by compiled functions, or by eager ones; the numbers are the same."""
        for quantizer in self.quantizers.values():
            quantizer.compile_(on)

    def keep_valid_(self) -> None:
        """After a step of the optimiser: scales and whatever the rules learn stay positive."""
        for quantizer in self.quantizers.values():
            quantizer.keep_valid_()
        for layer in self.layers.values():
            layer.rule.keep_valid_(layer)

    def calibrate_(self, batches: Iterable[Tensor]) -> None:
        """Finds the range of every activation on float activations and the present weights, then quantises them."""
        was_training = self.training
        self.eval()
        self._set_mode("observe")
        with torch.no_grad():
            for x in batches:
                self(x)
        for name, quantizer in self.quantizers.items():
            if not quantizer.saw_finite():
                raise PlatformError(
                    f"{name}: its values are NaN or infinite on the calibration data; training diverged: "
                    "try a lower learning rate"
                )
            quantizer.settle_()
        self._set_mode("on")
        self.train(was_training)

    def _set_mode(self, mode: str) -> None:
        for quantizer in self.quantizers.values():
            quantizer.mode = mode

    def snapshot(self) -> dict:
        """Everything that restore_ needs, plain types and tensors only; later training does not change it."""
        return {
            "rules": {name: rule_to_dict(layer.rule) for name, layer in self.layers.items()},
            "extra": {
                name: {k: v.detach().clone() for k, v in layer.extra.items()} for name, layer in self.layers.items()
            },
            "mode": next(iter(self.quantizers.values())).mode,
            "state": {k: v.detach().clone() for k, v in self.state_dict().items() if ".extra." not in k},
        }

    def restore_(self, snapshot: dict) -> None:
        """Back to the state of a snapshot, exactly."""
        if set(snapshot["rules"]) != set(self.layers):
            raise UsageError(
                f"the checkpoint belongs to another network: it has layers {', '.join(snapshot['rules'])}, this one "
                f"{', '.join(self.layers)}; give the network it was made with, or start anew"
            )
        own = {key: value.shape for key, value in self.state_dict().items() if ".extra." not in key}
        for key in sorted(own.keys() | snapshot["state"].keys()):
            there = snapshot["state"].get(key)
            if key not in own or there is None or there.shape != own[key]:
                raise UsageError(
                    f"the checkpoint belongs to another network: {key} differs in shape or is in one of them only; "
                    "give the network it was made with, or start anew"
                )
        for name, layer in self.layers.items():
            layer.set_rule_(rule_from_dict(snapshot["rules"][name]))
            for key, value in snapshot["extra"][name].items():
                layer.extra[key].data.copy_(value)
        self.load_state_dict(copy.deepcopy(snapshot["state"]), strict=False)
        self._set_mode(snapshot["mode"])

    def affine(self, name: str) -> Affine:
        """Quantisation of what a node gives."""
        return self.quantizers[self.graph.source(name).name].affine()
