"""The exported file: valid, repeatable, and the same function in onnxruntime and in codegen's reference."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from torch import nn

from lamella.codegen import import_onnx, reference
from lamella.trainer import export_onnx, integer, onnxruntime_check
from lamella.trainer.frozen import freeze
from lamella.trainer.rules.int8 import Int8
from lamella.trainer.rules.ternary import Ternary

from .random_networks import SIZE, random_networks
from .test_integer import quantised


def exported(model: nn.Module, x: torch.Tensor, folder, rule=None):
    """(path, frozen network) of a model whose layers are all under one rule."""
    frozen = freeze(quantised(model, x, rule), "small_net")
    path = folder / "model.onnx"
    export_onnx.save(frozen, path)
    return path, frozen


@pytest.mark.parametrize("rule", [Int8(), Ternary()])
@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Conv2d(2, 5, 3, 2, 1), nn.ReLU(), nn.Flatten()),
        nn.Sequential(nn.Conv2d(2, 4, 3, groups=2, dilation=2), nn.BatchNorm2d(4), nn.ReLU6(), nn.Flatten()),
        nn.Sequential(nn.Flatten(), nn.Linear(2 * SIZE * SIZE, 7)),
    ],
)
def test_single_layers_are_at_most_one_level_from_onnxruntime(model, rule, tmp_path):
    x = torch.rand(200, 2, SIZE, SIZE) - 0.2
    report = onnxruntime_check.compare(*exported(model, x, tmp_path, rule), x)
    assert report["max_level_difference"] <= 1
    assert report["equal_fraction"] > 0.99
    assert report["samples"] == 200


@settings(deadline=None, max_examples=30)
@given(model=random_networks(), rule=st.sampled_from([Int8(), Ternary()]))
def test_random_networks_agree_three_ways(model, rule, tmp_path_factory):
    """Integer mode and codegen's execution of the file are equal in every byte; onnxruntime is close."""
    folder = tmp_path_factory.mktemp("random")
    x = torch.rand(40, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(2)) - 0.3
    path, frozen = exported(model, x, folder, rule)
    graph = import_onnx.read(path)
    raw = integer.quantize_input(frozen, x)
    (port,) = graph.inputs
    (theirs,) = reference.run(graph, {port.name: raw.numpy()}).values()
    np.testing.assert_array_equal(theirs, integer.outputs(frozen, x).numpy())
    report = onnxruntime_check.compare(path, frozen, x)
    # Rounding ties differ (half to even there): a level moves now and then, and moves add up with depth.
    assert report["max_level_difference"] <= 8
    assert report["top1_agreement"] >= 0.8


def test_the_file_says_what_the_layers_are(tmp_path, trained, data):
    path, frozen = exported(trained, data[1].x, tmp_path)
    model = onnx.load(path)
    weights = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    assert model.graph.name == "small_net"
    assert [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == ["N", 1, 8, 8]
    for name in ("conv1", "conv2", "fc1", "fc2"):
        levels, scale = weights[f"{name}.weight_levels"], weights[f"{name}.weight_scale"]
        assert levels.dtype == np.int8 and set(np.unique(levels)) <= {-1, 0, 1}
        assert scale.shape == ((6,) if name == "conv1" else ())  # only conv1 has a BatchNorm
        assert weights[f"{name}.bias_levels"].dtype == np.int32
        x_scale = frozen.affines[frozen.graph[name].inputs[0]].scale
        np.testing.assert_array_equal(weights[f"{name}.bias_scale"], np.float32(x_scale) * scale)
    operators = {node.name: node.op_type for node in model.graph.node}
    assert (operators["conv1"], operators["fc2"], operators["conv1_relu"]) == ("Conv", "Gemm", "Relu")
    assert model.graph.output[0].name == "output"


def test_equal_networks_give_equal_bytes(tmp_path, trained, data):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, _ = exported(trained, data[1].x, tmp_path / "a")
    second, _ = exported(trained, data[1].x, tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()


def test_onnxruntime_loads_it_with_default_settings(tmp_path, trained, data):
    path, _ = exported(trained, data[1].x, tmp_path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"x": data[1].x[:3].numpy()})
    assert scores.shape == (3, 4) and scores.dtype == np.float32
