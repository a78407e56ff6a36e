"""Functions of one value, over their registry, and factors stretched to an image (squeeze and excitation)."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lamella.errors import UnsupportedError
from lamella.trainer.functions import FUNCTIONS
from lamella.trainer.graph import FunctionNode, MultiplyNode
from lamella.trainer.network import QuantNetwork
from lamella.trainer.rules.int8 import Int8
from lamella.trainer.rules.ternary import Ternary
from lamella.trainer.trace import trace

from .test_sequences import check_three_ways

LAYERS = {
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "leaky_relu": nn.LeakyReLU(0.2),
    "elu": nn.ELU(0.7),
    "hard_sigmoid": nn.Hardsigmoid(),
    "hard_swish": nn.Hardswish(),
    "silu": nn.SiLU(),
    "gelu": nn.GELU(),
    "softplus": nn.Softplus(),
}
NUMBERS = {"add_number": lambda x: x - 0.4, "multiply_number": lambda x: x / 0.31}
LAYERS |= NUMBERS
CALLS = {
    "sigmoid": torch.sigmoid,
    "tanh": F.tanh,
    "leaky_relu": lambda x: F.leaky_relu(x, negative_slope=0.2),
    "elu": lambda x: F.elu(x, 0.7),
    "hard_sigmoid": F.hardsigmoid,
    "hard_swish": lambda x: F.hardswish(x, inplace=True),
    "silu": F.silu,
    "gelu": F.gelu,
    "softplus": F.softplus,
    "add_number": lambda x: 0.25 + x,
    "multiply_number": lambda x: 1.7 * x,
}


class Net(nn.Module):
    """(2, 8, 8) with a function behind the first convolution."""

    def __init__(self, function) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.function = function
        self.fc = nn.Linear(4 * 16, 3)
        nn.init.normal_(self.conv.weight, 0, 0.8)

    def forward(self, x):
        return self.fc(F.max_pool2d(self.function(self.conv(x)), 2).flatten(1))


class Excited(nn.Module):
    """Squeeze and excitation: a factor for each channel, in MobileNetV3's way."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3, padding=1)
        self.squeeze, self.excite = nn.Conv2d(6, 3, 1), nn.Conv2d(3, 6, 1)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        x = F.hardswish(self.conv(x))
        factor = F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1)))
        x = x * F.hardsigmoid(self.excite(factor))
        return self.fc(x.mean((2, 3)))


def model_of(kind) -> nn.Module:
    torch.manual_seed(5)
    return kind().eval()


def inputs(samples: int = 24) -> torch.Tensor:
    return torch.randn(samples, 2, 8, 8, generator=torch.Generator().manual_seed(1))


def test_every_function_is_tested():
    assert LAYERS.keys() == CALLS.keys() == FUNCTIONS.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("written", [LAYERS, CALLS], ids=["layer", "call"])
def test_a_function_trains_as_torch_computes_it(name, written):
    model, x = model_of(lambda: Net(written[name])), inputs()
    network = QuantNetwork(trace(model, x), model, learned_ranges=True).eval()
    (node,) = [node for node in network.graph if isinstance(node, FunctionNode)]
    assert node.function == name
    with torch.no_grad():
        torch.testing.assert_close(network(x), model(x), rtol=1e-4, atol=1e-5)
        values = torch.linspace(-9, 9, 400, dtype=torch.float64)
        numpy = FUNCTIONS[name].numpy(values.numpy(), node.parameter)
        np.testing.assert_allclose(numpy, FUNCTIONS[name].torch(values, node.parameter).numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_agrees_three_ways(name, tmp_path):
    check_three_ways(model_of(lambda: Net(LAYERS[name])), inputs(), Int8(), tmp_path / "model.onnx")


def test_a_factor_for_each_channel_agrees_three_ways(tmp_path):
    model, x = model_of(Excited), inputs()
    network = QuantNetwork(trace(model, x), model, learned_ranges=True).eval()
    assert any(isinstance(node, MultiplyNode) for node in network.graph)
    with torch.no_grad():
        torch.testing.assert_close(network(x), model(x), rtol=1e-4, atol=1e-5)
    check_three_ways(model, x, Ternary(), tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "function", [nn.GELU("tanh"), nn.Softplus(2.0), lambda x: F.gelu(x, approximate="tanh"), nn.PReLU(4)]
)
def test_a_form_that_is_not_there_is_refused_by_name(function):
    with pytest.raises(UnsupportedError, match=r"function|elu"):
        trace(model_of(lambda: Net(function)), inputs(2))
