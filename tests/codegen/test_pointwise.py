"""The sparse pointwise convolution: shapes and weights that random convolutions seldom have."""

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

from lamella import boards, pipeline, trial
from lamella.codegen import kernels, reference
from lamella.codegen.ir import Quantization, Target, Tensor
from lamella.codegen.operators import sampling
from lamella.codegen.operators.conv2d import Conv2d
from lamella.codegen.operators.windows import Window

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
KERNEL = kernels.get("lam_conv2d_sparse_pointwise")
LONG = frozenset({"long_multiply"})
#: Cores whose descriptors the C loops on this computer can run.
TARGETS = (
    Target("m0", core="cortex-m0", unaligned=False),
    Target("m3", core="cortex-m3", features=LONG),
    Target("rv32", core="rv32imac", features=LONG, unaligned=False),
)
LAYERS = 60


@pytest.fixture(scope="module", params=sorted(VARIANTS))
def variant(request, tmp_path_factory):
    """(ffi, lib) of the runtime in one of its variants."""
    runtime = build(request.param, tmp_path_factory)
    return runtime.ffi, runtime.lib


def levels(draw, out_c: int, in_c: int) -> np.ndarray:
    """Ternary levels whose rows differ: of any density, of one sign only, or empty."""
    rng = np.random.default_rng(draw.integer(0, 2**31))
    kinds = [(0, 0), (1, 0), (0, 1), (0.5, 0.5), (0.1, 0.1), (0.3, 0.1), (0.05, 0)]
    rows = []
    for _ in range(out_c):
        plus, minus = draw.choice(kinds)
        at = rng.random(in_c)
        rows.append(np.where(at < plus, 1, np.where(at > 1 - minus, -1, 0)))
    return np.array(rows, np.int16).reshape(out_c, in_c, 1, 1)


def sample(draw):
    """A random sparse convolution of 1 x 1 pixels that the kernel can run but for its scales."""
    size = draw.choice([(1, 1), (1, 3), (3, 5), (4, 4), (1, 17), (5, 7), (8, 8), (6, 6), (7, 9), (10, 10)])
    in_c, out_c = draw.choice([1, 2, 7, 16, 33, 100]), draw.choice([1, 2, 5, 9, 17])
    x = draw.tensor("x", (1, in_c, *size))
    w = levels(draw, out_c, in_c)
    count = draw.choice([1, out_c])
    wanted = np.random.default_rng(draw.integer(0, 2**31)).uniform(0.02, 0.3, count) / np.sqrt(in_c)
    y = Tensor("y", (1, out_c, *size), Quantization(1.0, draw.choice([0, 0, 0, 128, draw.integer(0, 255)])))
    scales = (wanted / x.quantization.scale).astype(np.float32)
    requant = replace(draw.requant(x.quantization.scale, scales, y.quantization), low=0, high=255)
    bias = draw.integers((out_c,), -500, 500)
    return sampling.graph("conv2d", [x], y, Conv2d(w, scales, bias, Window((1, 1)), 1, requant))


def worst(graph, seed: int) -> dict[str, np.ndarray]:
    """Inputs that drive the sums of some output channel to an end of their range, or random ones."""
    (node,) = graph.nodes
    rows = node.attributes.levels[:, :, 0, 0]
    row = rows[seed % len(rows)] * (1 if seed % 2 else -1)
    if seed % 3 == 0:
        return inputs_of(graph, seed)
    shape = graph.tensors["x"].shape
    return {"x": np.broadcast_to(np.where(row > 0, 255, 0).astype(np.uint8)[None, :, None, None], shape).copy()}


def ways(graph, target):
    """The kernel's ways, as few as hold every format and every set of parameters."""
    return list(thinned(KERNEL.options(graph, graph.nodes[0], target)))


@SETTINGS
@given(graph=graphs(sample), seed=st.integers(0, 2**20))
def test_every_way_equals_the_reference(variant, graph, seed):
    (node,) = graph.nodes
    x = worst(graph, seed)["x"]
    expected = reference.run_node(graph, node, [x])
    for target in TARGETS:
        for choice in ways(graph, target):
            found = run_node(variant, graph, replace(node, choice=choice), [x])
            assert np.array_equal(found, expected), choice


def test_most_of_the_drawn_layers_have_a_way():
    """Otherwise the tests here would show nothing: per target, and for each way to bring pixels."""
    drawn = [sample(Draw.seeded(seed)) for seed in range(100)]
    for target in TARGETS:
        with_way = [graph for graph in drawn if ways(graph, target)]
        assert len(with_way) >= 60
        assert any(np.prod(graph.tensors["x"].shape[2:]) % 4 for graph in with_way)
        assert any(np.prod(graph.tensors["x"].shape[2:]) < 16 for graph in with_way)
        assert any(graph.tensors["y"].quantization.zero for graph in with_way)


@SETTINGS
@given(graph=graphs(sample))
def test_planned_scratch_is_what_the_kernel_says(lam, graph):
    _ffi, lib = lam
    (node,) = graph.nodes
    target = TARGETS[1]  # words at any address, as on this computer
    for choice in KERNEL.options(graph, node, target):
        built = Built(lam, KERNEL.describe(graph, replace(node, choice=choice)))
        assert lib.lam_conv2d_sparse_pointwise_scratch(built.pointer) == choice.scratch_bytes


@SETTINGS
@given(graph=graphs(sample), seed=st.integers(0, 2**20), shift=st.integers(1, 3))
def test_any_address_will_do_where_the_core_allows_it(lam, graph, seed, shift):
    """Where words may lie anywhere, as on this computer, x and y may, too."""
    ffi, lib = lam
    (node,) = graph.nodes
    x = worst(graph, seed)["x"]
    expected = reference.run_node(graph, node, [x])
    for choice in ways(graph, TARGETS[1])[:1]:
        built = Built(lam, KERNEL.describe(graph, replace(node, choice=choice)))
        x_bytes = ffi.new("uint8_t[]", bytes(shift) + x.tobytes())
        n = graph.tensors["y"].bytes
        y = ffi.new("uint8_t[]", b"\xa5" * (n + shift + 8))
        scratch = ffi.new("uint32_t[]", -(-choice.scratch_bytes // 4))
        lib.lam_conv2d_sparse_pointwise(built.pointer, x_bytes + shift, y + shift, scratch)
        after = np.frombuffer(ffi.buffer(y), np.uint8)
        assert np.array_equal(after[shift : shift + n].reshape(expected.shape), expected)
        assert (after[:shift] == 0xA5).all() and (after[shift + n : shift + n + 8] == 0xA5).all()


@pytest.mark.parametrize("optimize", ["flash", "balanced", "speed"])
@pytest.mark.parametrize("name", runnable())
def test_every_way_equals_the_reference_on_the_core(name: str, optimize: str):
    board = boards.load(name)
    if "mve" in board.core.features:
        pytest.skip("this core has a faster kernel")
    for tool in (board.compiler.cc, board.runner.command[0]):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    rng = random.Random(name + optimize)
    trials = []
    for seed in range(3 * LAYERS):
        graph = sample(Draw.seeded(rng.getrandbits(31)))
        found = ways(graph, pipeline.target_of(board, optimize))
        if found and len(trials) < LAYERS:
            trials.append(trial.Trial(graph, rng.choice(found), worst(graph, seed)))
    assert len(trials) == LAYERS
    for one, outcome in zip(trials, trial.run(trials, board, optimize), strict=True):
        expected = reference.run_node(one.graph, one.node, [one.inputs["x"]])
        assert np.array_equal(outcome.output, np.asarray(expected)), (one.choice, one.node.attributes)
