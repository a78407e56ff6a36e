"""Every registered operator: each C kernel in each of its ways against the PyTorch reference, over random graphs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from draw import Draw, graphs, inputs_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from run_kernels import Built, equal, run_node, thinned

from lamella.codegen import float_math, kernels, operators, reference
from lamella.codegen.ir import Target, Tensor, body_of
from lamella.codegen.operators import conv2d, sampling
from lamella.codegen.operators.float_binary import FloatBinary

OPERATORS = sorted(operators.operators())
TARGETS = [
    Target("dsp", features=frozenset({"dsp", "long_multiply"})),
    Target("no dsp", features=frozenset({"long_multiply"})),
    Target("aligned", unaligned=False),
]
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def options(graph, node):
    """Ways to run a node: of every kernel every format and every set of parameters at least once."""
    return thinned(choice for target in TARGETS for choice in kernels.options(graph, node, target))


@pytest.mark.parametrize("name", OPERATORS)
def test_every_kernel_equals_the_reference(lam, name):
    @SETTINGS
    @given(graph=graphs(operators.get(name).sample), seed=st.integers(0, 2**20))
    def check(graph, seed):
        (node,) = graph.nodes
        values = inputs_of(graph, seed)
        xs = [values[t] for t in node.inputs]
        expected = reference.run_node(graph, node, xs)
        assert expected.shape == graph.tensors[node.output].shape
        ways = list(options(graph, node))
        # The ways of a loop follow from the kernels inside it: tests/codegen/test_scan.py.
        assert ways or operators.get(name).is_view or body_of(node) is not None
        for choice in ways:
            got = run_node(lam, graph, replace(node, choice=choice), xs)
            assert equal(got, expected), choice

    check()


@pytest.mark.parametrize("function", sorted(float_math.BINARY))
def test_functions_of_two_agree_on_every_pair_of_odd_values(lam, function):
    """Equal ones, zeros of both signs, the smallest and the largest, infinities, NaN."""
    odd = [0.0, 0.5, 1.0, 2.5, 3.0, 1e-40, 1e-30, 1e38, np.inf]
    values = np.array([*odd, *np.negative(odd), np.nan], np.float32)
    n = len(values)
    a, b = Tensor("a", (1, n, 1), None), Tensor("b", (1, 1, n), None)
    attributes = FloatBinary(function, (n, n), ((n, 1), (1, n)))
    graph = sampling.graph("float_binary", [a, b], Tensor("y", (1, n, n), None), attributes)
    (node,) = graph.nodes
    xs = [values.reshape(1, n, 1), values.reshape(1, 1, n)]
    expected = reference.run_node(graph, node, xs)
    for choice in options(graph, node):
        assert equal(run_node(lam, graph, replace(node, choice=choice), xs), expected), choice


@pytest.mark.parametrize("name", OPERATORS)
def test_reference_treats_samples_alike(name):
    """A batch of three gives what three runs give."""
    for seed in range(20):
        graph = operators.get(name).sample(Draw.seeded(seed))
        (node,) = graph.nodes
        values = inputs_of(graph, 3 + 4 * seed, samples=3)
        together = reference.run_node(graph, node, [values[t] for t in node.inputs])
        for k in range(3):
            alone = reference.run_node(graph, node, [values[t][k : k + 1] for t in node.inputs])
            assert equal(together[k : k + 1], alone)


@pytest.mark.parametrize("name", OPERATORS)
def test_macs_and_details_are_given(name):
    graph = operators.get(name).sample(Draw.seeded(1))
    assert operators.get(name).macs(graph, graph.nodes[0]) >= 0
    assert isinstance(operators.get(name).details(graph, graph.nodes[0]), str)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(conv2d.sample))
def test_planned_bands_are_what_the_sparse_kernels_say(lam, graph):
    ffi, lib = lam
    (node,) = graph.nodes
    for choice in options(graph, node):
        if "band_rows" in choice.parameters and choice.kernel.startswith("lam_conv2d_sparse"):
            chosen = replace(node, choice=choice)
            built = Built(lam, kernels.get(chosen.choice.kernel).describe(graph, chosen))
            assert getattr(lib, f"{choice.kernel}_scratch")(built.pointer) == choice.scratch_bytes
            planned = bytes(ffi.buffer(ffi.addressof(built.pointer, "band")))
            getattr(lib, f"{choice.kernel}_plan")(built.pointer)
            assert bytes(ffi.buffer(ffi.addressof(built.pointer, "band"))) == planned, choice


def test_reference_conv_equals_plain_loops():
    """The reference itself against the definition, written out."""
    for seed in range(40):
        graph = conv2d.sample(Draw.seeded(seed))
        (node,) = graph.nodes
        a = replace(node.attributes, pool=None)
        x = inputs_of(graph, 3 + 4 * seed)["x"]
        out = a.window.out_size(x.shape[2:])
        y = replace(graph.tensors["y"], shape=(1, a.levels.shape[0], *out))
        bare = replace(graph, tensors={**graph.tensors, "y": y}, nodes=(replace(node, attributes=a),))
        got = reference.run_node(bare, bare.nodes[0], [x])
        assert np.array_equal(got[0], _plain_conv(a, x[0].astype(int) - graph.tensors["x"].quantization.zero, out))


def _plain_conv(a, x, out):
    result = np.zeros((a.levels.shape[0], *out), np.uint8)
    per_group_in, per_group_out = a.levels.shape[1], a.levels.shape[0] // a.groups
    for o in range(a.levels.shape[0]):
        m = int(a.requant.multiplier[o % a.requant.multiplier.size])
        s = int(a.requant.shift[o % a.requant.shift.size])
        for i in range(out[0]):
            for j in range(out[1]):
                acc = int(a.bias[o])
                for c in range(per_group_in):
                    for u in range(a.window.kernel[0]):
                        for v in range(a.window.kernel[1]):
                            r = i * a.window.stride[0] + u * a.window.dilation[0] - a.window.pads[0]
                            k = j * a.window.stride[1] + v * a.window.dilation[1] - a.window.pads[1]
                            if 0 <= r < x.shape[1] and 0 <= k < x.shape[2]:
                                acc += int(a.levels[o, c, u, v]) * int(x[o // per_group_out * per_group_in + c, r, k])
                value = a.requant.zero + ((acc * m + (1 << (s - 1))) >> s)
                result[o, i, j] = min(max(value, a.requant.low), a.requant.high)
    return result


def test_reference_is_exact_beyond_float32():
    """Sums past 2^24 run in float64."""
    from lamella.codegen import exact

    levels = torch.full((1, 40000), 127, dtype=torch.int16)
    levels[0, 0] = 1
    x = torch.full((1, 40000), 255, dtype=torch.int64)
    acc = exact.linear(x, levels, torch.tensor([1]))
    assert int(acc) == 39999 * 127 * 255 + 255 + 1
