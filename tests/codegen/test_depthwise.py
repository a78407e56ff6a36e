"""Depthwise convolutions: windows with code of their own, which random convolutions seldom have."""

import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
from draw import Draw, graphs, inputs_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from run_kernels import Built, run_node, thinned
from runtime_library import VARIANTS, build
from test_on_cores import runnable

from lamella import boards, pipeline, requant, trial
from lamella.codegen import kernels, reference, weights
from lamella.codegen.ir import Quantization, Target, Tensor
from lamella.codegen.kernels import depthwise
from lamella.codegen.operators import sampling
from lamella.codegen.operators.conv2d import Conv2d
from lamella.codegen.operators.windows import Window

SETTINGS = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
FUNCTIONS = ("lam_conv2d_depthwise", "lam_conv2d_depthwise_3x3", "lam_conv2d_depthwise_5x5")
LAYERS = 60


@pytest.fixture(scope="module", params=sorted(VARIANTS))
def variant(request, tmp_path_factory):
    """(ffi, lib) of the runtime in one of its variants."""
    runtime = build(request.param, tmp_path_factory)
    return runtime.ffi, runtime.lib


def sample(draw):
    """A random depthwise convolution."""
    kernel = draw.choice([(3, 3), (3, 3), (5, 5), (3, 5), (1, 4), (7, 1)])
    stride = (draw.integer(1, 3), draw.choice([1, 1, 2, 2, 3]))
    dilation = draw.choice([(1, 1), (1, 1), (1, 1), (2, 1), (1, 2)])
    return depthwise_graph(draw, Window(kernel, stride, dilation), draw.levels)


def sample_common(draw):
    """A random depthwise convolution of the kinds that have code of their own, with levels that are all different."""
    kernel, stride = draw.choice([(3, 3), (3, 3), (5, 5)]), draw.choice([1, 2])
    graph = depthwise_graph(draw, Window(kernel, (stride, stride)), lambda shape: draw.integers(shape, -127, 127))
    (node,) = graph.nodes
    whole = replace(node.attributes.requant, low=0, high=255)
    q = draw.choice([whole, whole, node.attributes.requant])
    return replace(graph, nodes=(replace(node, attributes=replace(node.attributes, requant=q)),))


def depthwise_graph(draw, shape, levels_of):
    """A graph of one depthwise convolution with windows of a shape."""
    pads = tuple(draw.integer(0, shape.reach(i % 2) - 1) for i in range(4))
    window, kernel = replace(shape, pads=pads), shape.kernel
    size = tuple(max(1, window.reach(a) - pads[a] - pads[a + 2]) + draw.integer(0, (6, 18)[a]) for a in (0, 1))
    in_c, multiplier = draw.integer(1, 3), draw.choice([1, 1, 2])
    x = draw.tensor("x", (1, in_c, *size))
    levels = levels_of((in_c * multiplier, 1, *kernel)).astype(np.int16)
    scales = draw.scales(levels.shape[0])
    bias = draw.integers((levels.shape[0],), -3000, 3000)
    around = x.quantization.scale * float(scales.max()) * draw.choice([1, 40, 40, 40])  # 1: shifts below 32
    y = Tensor("y", (1, levels.shape[0], *window.out_size(size)), draw.quantization(around))
    q = draw.requant(x.quantization.scale, scales, y.quantization)
    return sampling.graph("conv2d", [x], y, Conv2d(levels, scales, bias, window, in_c, q))


def ways(graph, target):
    """The ways of the depthwise kernels."""
    return list(thinned(c for f in FUNCTIONS for c in kernels.get(f).options(graph, graph.nodes[0], target)))


def check(variant, graph, seed):
    """Each way against the reference; which kernels there were."""
    (node,) = graph.nodes
    x = inputs_of(graph, seed)["x"]
    expected = reference.run_node(graph, node, [x])
    found = ways(graph, Target("any"))
    for choice in found:
        assert np.array_equal(run_node(variant, graph, replace(node, choice=choice), [x]), expected), choice
    return {(choice.kernel, node.attributes.window.stride[1]) for choice in found}


@SETTINGS
@given(graph=graphs(sample), seed=st.integers(0, 2**20))
def test_every_depthwise_kernel_equals_the_reference(variant, graph, seed):
    check(variant, graph, seed)


def test_every_depthwise_kernel_is_among_the_drawn(variant):
    samples = (sample, sample_common)
    tried = set().union(*(check(variant, samples[seed % 2](Draw.seeded(seed)), seed) for seed in range(100)))
    assert tried >= {(function, stride) for function in FUNCTIONS for stride in (1, 2)}


@SETTINGS
@given(graph=graphs(sample))
def test_planned_scratch_is_what_the_kernel_says(lam, graph):
    _ffi, lib = lam
    (node,) = graph.nodes
    for choice in ways(graph, Target("any")):
        built = Built(lam, kernels.get(choice.kernel).describe(graph, replace(node, choice=choice)))
        assert lib.lam_conv2d_depthwise_scratch(built.pointer) == choice.scratch_bytes


def _int32(value: int) -> int:
    assert -(2**31) <= value < 2**31
    return value


@SETTINGS
@given(graph=graphs(sample))
def test_split_multiplication_is_exact_in_32_bits(graph):
    """The contract of lam_conv2d_depthwise_desc.split at the ends of what each channel can reach, and in between."""
    (node,) = graph.nodes
    a = node.attributes
    split = depthwise.split(graph, node)
    if split == 0:
        return
    bias = weights.folded_bias(a.levels, a.bias, graph.tensors["x"].quantization.zero)
    for o, row in enumerate(weights.matrix(a.levels).astype(int)):
        m = int(a.requant.multiplier[o % a.requant.multiplier.size])
        low = int(bias[o]) + 255 * int(np.minimum(row, 0).sum())
        high = int(bias[o]) + 255 * int(np.maximum(row, 0).sum())
        for acc in (low, low + 1, (low + high) // 2, -1, 0, 1, high - 1, high):
            acc = min(max(acc, low), high)
            product = _int32(acc * (m & ((1 << split) - 1))) >> split
            total = _int32(_int32(acc * (m >> split)) + product)
            total = _int32(total + (a.requant.zero << (32 - split)) + (1 << (31 - split)))
            assert total >> (32 - split) == a.requant.zero + ((acc * m + 2**31) >> 32)


def test_split_serves_the_layers_it_is_meant_for():
    """Windows of 3 x 3, int8, with scales as networks have them."""
    rng = np.random.default_rng(0)
    levels = rng.integers(-127, 128, (8, 1, 3, 3)).astype(np.int16)
    multiplier, shift = requant.quantize_multipliers(0.05, np.full(8, 0.01, np.float32), 0.15)
    q = replace(Draw.seeded(0).requant(0.05, [0.01], Quantization(0.15, 0)), multiplier=multiplier, shift=shift)
    window = Window((3, 3), pads=(1, 1, 1, 1))
    x = Tensor("x", (1, 8, 4, 4), Quantization(0.05, 128))
    y = Tensor("y", (1, 8, 4, 4), Quantization(0.15, 0))
    conv = Conv2d(levels, np.full(1, 0.01, np.float32), np.zeros(8, np.int64), window, 8, q)
    graph = sampling.graph("conv2d", [x], y, conv)
    assert depthwise.split(graph, graph.nodes[0]) >= 12


@pytest.mark.parametrize("optimize", ["flash", "speed"])
@pytest.mark.parametrize("name", runnable())
def test_every_depthwise_kernel_equals_the_reference_on_the_core(name: str, optimize: str):
    board = boards.load(name)
    for tool in (board.compiler.cc, board.runner.command[0]):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    rng = random.Random(name + optimize)
    trials = []
    for k in range(LAYERS):
        graph = (sample if k % 4 == 0 else sample_common)(Draw.seeded(k))
        inputs = inputs_of(graph, k)
        found = ways(graph, pipeline.target_of(board, optimize))
        special = [c for c in found if c.kernel != "lam_conv2d_depthwise"] or found
        trials.append(trial.Trial(graph, rng.choice(special), inputs))
    assert {t.choice.kernel for t in trials} == set(FUNCTIONS)
    for one, outcome in zip(trials, trial.run(trials, board, optimize), strict=True):
        expected = reference.run_node(one.graph, one.node, [one.inputs["x"]])
        assert np.array_equal(outcome.output, np.asarray(expected)), (one.choice, one.node.attributes)
