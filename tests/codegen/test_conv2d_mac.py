"""What the generator computes of the convolutions with multiplications without running C."""

from dataclasses import replace

import pytest
from draw import graphs
from hypothesis import HealthCheck, given, settings
from run_kernels import Built

from lamella.codegen import kernels
from lamella.codegen.ir import Target
from lamella.codegen.kernels import conv2d_mac_work
from lamella.codegen.operators import conv2d

TARGETS = [Target("dsp", features=frozenset({"dsp", "long_multiply"})), Target("small", unaligned=False)]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(conv2d.sample))
def test_planned_scratch_is_what_the_kernel_says(lam, graph):
    _ffi, lib = lam
    (node,) = graph.nodes
    seen = set()
    for target in TARGETS:
        for choice in kernels.options(graph, node, target):
            if "lam_conv2d_mac.call" in choice.work:
                seen.add(choice.kernel)
                chosen = replace(node, choice=choice)
                built = Built(lam, kernels.get(choice.kernel).describe(graph, chosen))
                assert getattr(lib, f"{choice.kernel}_scratch")(built.pointer) == choice.scratch_bytes
    assert {"lam_conv2d_pairs", "lam_conv2d_bytes"} <= seen


@pytest.mark.parametrize("run", [1, 63, 64, 65, 71, 72, 73, 136, 200])
def test_parts_of_a_run_are_whole_and_never_too_short_for_a_tile(run: int):
    parts = conv2d_mac_work.parts(run, pooled=False)
    assert sum(parts) == run
    assert max(parts) <= conv2d_mac_work.CHUNK
    assert len(parts) == 1 or min(parts) >= 8


def test_tiles_of_two_sizes():
    assert conv2d_mac_work.tiles(16, (8, 4)) == {8: 2, 4: 0}
    assert conv2d_mac_work.tiles(12, (8, 4)) == {8: 1, 4: 1}
    assert conv2d_mac_work.tiles(13, (8, 4)) == {8: 2, 4: 0}
    assert conv2d_mac_work.tiles(3, (8, 4)) == {8: 0, 4: 1}
    assert conv2d_mac_work.tiles(9, (4,)) == {4: 3}
