"""Which models are understood, and what is said of the others."""

import inspect
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lamella.errors import UnsupportedError
from lamella.trainer.graph import (
    AddNode,
    AveragePoolNode,
    Clip,
    ClipNode,
    FlattenNode,
    LayerNode,
    MaxPoolNode,
    SoftmaxNode,
)
from lamella.trainer.network import QuantNetwork
from lamella.trainer.networks import get, names
from lamella.trainer.trace import trace


def input_shape(name: str) -> tuple[int, ...]:
    """What the first line of a network's file says: Input (1, 28, 28)."""
    (numbers,) = re.findall(r"Input \(([\d, ]+)\)", inspect.getmodule(get(name)).__doc__)
    return tuple(int(number) for number in numbers.split(","))


def model_of(forward, **layers) -> nn.Module:
    """A module with these layers and this forward(self, x)."""
    kind = type("Model", (nn.Module,), {"forward": forward})
    model = kind()
    for name, layer in layers.items():
        setattr(model, name, layer)
    return model.eval()


def traced(model: nn.Module, shape: tuple[int, ...] = (1, 8, 8)):
    return trace(model, torch.rand(2, *shape))


def assert_same_function(model: nn.Module, shape: tuple[int, ...]) -> None:
    x = torch.rand(4, *shape)
    network = QuantNetwork(trace(model, x), model, learned_ranges=True).eval()
    with torch.no_grad():
        torch.testing.assert_close(network(x), model.eval()(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", names())
def test_every_network_keeps_its_function(name):
    torch.manual_seed(0)
    assert_same_function(get(name)(), input_shape(name))


def test_lenet5_has_the_weights_of_the_papers():
    assert sum(p.numel() for n, p in get("lenet5")().named_parameters() if n.endswith("weight")) == 430_500


def test_layer_batchnorm_and_relu_become_one_node():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU6(), nn.Flatten(), nn.Linear(144, 3)).eval()
    kinds = [type(node) for node in traced(model)][1:]
    assert kinds == [LayerNode, FlattenNode, LayerNode]
    layer = traced(model).layers[0]
    assert (layer.norm_path, layer.clip) == ("1", Clip(0.0, 6.0))
    assert_same_function(model, (1, 8, 8))


def test_relu_behind_a_pooling_moves_into_the_layer():
    def forward(self, x):
        return self.fc(F.relu(F.max_pool2d(self.conv(x), 2)).flatten(1))

    model = model_of(forward, conv=nn.Conv2d(1, 3, 3), fc=nn.Linear(27, 2))
    graph = traced(model)
    assert [type(node) for node in graph][1:] == [LayerNode, MaxPoolNode, FlattenNode, LayerNode]
    assert graph["conv"].clip == Clip(0.0, None)
    assert_same_function(model, (1, 8, 8))


def test_relu_of_a_value_used_twice_stays_apart():
    def forward(self, x):
        y = self.conv(x)
        return self.fc((torch.relu(y) + y).flatten(1))

    model = model_of(forward, conv=nn.Conv2d(1, 2, 3), fc=nn.Linear(72, 2))
    graph = traced(model)
    assert graph["conv"].clip == Clip()
    assert sum(isinstance(node, ClipNode) for node in graph) == 1
    assert_same_function(model, (1, 8, 8))


def test_batchnorm_alone_becomes_a_depthwise_layer():
    model = nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(108, 2)).eval()
    model[0].running_mean.uniform_(-1, 1)
    model[0].running_var.uniform_(0.5, 2)
    graph = traced(model, (2, 8, 8))
    assert graph.layers[0].groups == 2 and graph.layers[0].path is None
    assert_same_function(model, (2, 8, 8))
    network = QuantNetwork(graph, model, learned_ranges=True)
    assert len(network.compressible) == 2


def test_functional_forms_and_shapes_are_understood():
    def forward(self, x):
        a = F.avg_pool2d(F.relu6(self.conv(x)), 2)
        b = F.adaptive_avg_pool2d(torch.cat([a, a.clamp(0, 1)], dim=1), 1)
        c = F.dropout(b.view(b.size(0), -1), 0.5, self.training)
        return torch.softmax(self.fc(c), dim=1)

    model = model_of(forward, conv=nn.Conv2d(1, 2, 3, padding="same", dilation=2), fc=nn.Linear(4, 3))
    graph = traced(model)
    assert isinstance(graph.output, SoftmaxNode)
    network = QuantNetwork(graph, model, learned_ranges=True).eval()
    x = torch.rand(3, 1, 8, 8)
    torch.testing.assert_close(network(x).softmax(1), model(x))


def test_mean_over_pixels_is_a_pooling():
    model = model_of(lambda self, x: self.fc(self.conv(x).mean((2, 3))), conv=nn.Conv2d(1, 2, 3), fc=nn.Linear(2, 2))
    assert any(isinstance(node, AveragePoolNode) and node.whole for node in traced(model))
    assert_same_function(model, (1, 8, 8))


def test_residual_takes_in_its_relu():
    def forward(self, x):
        return self.fc(F.relu(self.a(x) + self.b(x)).flatten(1))

    model = model_of(forward, a=nn.Conv2d(1, 2, 3, padding=1), b=nn.Conv2d(1, 2, 1), fc=nn.Linear(128, 2))
    node = next(node for node in traced(model) if isinstance(node, AddNode))
    assert node.clip == Clip(0.0, None)
    assert_same_function(model, (1, 8, 8))


def twice(self, x):
    return self.fc(self.conv(self.conv(x)).flatten(1))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.PReLU(), nn.Flatten(), nn.Linear(72, 2)), "PReLU"),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), nn.Flatten(), nn.Linear(128, 2)),
            "layer 0",
        ),
        (nn.Sequential(nn.MaxPool2d(3, 2, ceil_mode=True), nn.Flatten(), nn.Linear(16, 2)), "MaxPool2d"),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 2), nn.LogSoftmax(0)), "LogSoftmax"),
        (nn.Sequential(nn.Flatten(), nn.ReLU()), "nothing to compress"),
        (nn.Sequential(nn.Conv2d(1, 2, 3)), "flatten"),
        (nn.Sequential(nn.Flatten(), nn.Linear(63, 2)), "shape"),
        (model_of(lambda self, x: self.fc(x.flatten(1)) if x.sum() > 0 else x, fc=nn.Linear(64, 2)), "branches"),
        (model_of(lambda self, x: (self.fc(x.flatten(1)), x), fc=nn.Linear(64, 2)), "one tensor"),
        (model_of(lambda self, x: self.fc(1 / x.flatten(1)), fc=nn.Linear(64, 2)), "reciprocal|div"),
        (model_of(lambda self, x: self.fc(x.flatten(1)) / x.flatten(1)[:, :2], fc=nn.Linear(64, 2)), "getitem|div"),
        (model_of(lambda self, x: self.fc(1 - x.flatten(1)), fc=nn.Linear(64, 2)), "sub"),
        (model_of(lambda self, x: self.fc(x.flatten(1) / 0), fc=nn.Linear(64, 2)), "nan|div|fc"),
        (
            model_of(
                lambda self, x: self.fc((x + self.c).flatten(1)),
                c=nn.Parameter(torch.ones(1, 8, 8)),
                fc=nn.Linear(64, 2),
            ),
            "operation c",
        ),
        (model_of(twice, conv=nn.Conv2d(1, 1, 3), fc=nn.Linear(16, 2)), "used twice"),
    ],
)
def test_what_is_not_supported_is_named(model, said):
    with pytest.raises(UnsupportedError, match=said):
        traced(model)


@pytest.mark.parametrize("end", [nn.LogSoftmax(1), nn.LogSoftmax(dim=-1)])
def test_a_log_softmax_at_the_end_is_seen_in_training_and_left_out_of_the_firmware(end):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3), end)
    graph = traced(model)
    assert graph.log_scores and isinstance(graph.output, LayerNode)
    assert_same_function(model, (1, 8, 8))
    called = model_of(lambda self, x: F.log_softmax(self.fc(x.flatten(1)), dim=1), fc=nn.Linear(64, 3))
    assert traced(called).log_scores
    assert_same_function(called, (1, 8, 8))
