"""Rounding by compiled functions is that of eager ones."""

import pytest
import torch

from lamella.errors import PlatformError
from lamella.trainer import compiled_round, compress, fake_quantize
from lamella.trainer.place import Place, here


def layouts(x: torch.Tensor) -> list[torch.Tensor]:
    """x as it may lie in memory, and parts of it."""
    return [
        x,
        x.contiguous(memory_format=torch.channels_last),
        x.transpose(2, 3),
        x[:, 1:],  # with gaps: no vector
        x.flatten(1),
        x[0, 0, 0, 0],
    ]


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_compiled_rounding_is_the_eager_one(kind: torch.dtype):
    torch.manual_seed(3)
    for x in layouts(torch.randn(5, 4, 6, 3).to(kind)):
        grad = torch.randn(x.shape).to(kind)
        results = []
        for function in (fake_quantize.Round, compiled_round.Round):
            leaf = x.detach().requires_grad_()
            scale = torch.tensor(0.011, requires_grad=True)
            y = function.apply(leaf, scale, 100, 7, 201)
            y.backward(grad)
            results.append((y.detach(), leaf.grad, scale.grad))
        eager, compiled = results
        assert torch.equal(eager[0], compiled[0]) and eager[0].dtype == compiled[0].dtype == kind
        assert torch.equal(eager[1], compiled[1])
        torch.testing.assert_close(compiled[2], eager[2], rtol=1e-4, atol=1e-5)  # summed in another order


def test_compile_without_a_compiler_is_refused(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(PlatformError, match="compile = true needs a C\\+\\+ compiler"):
        here("cpu", "float32", True)
    assert not here("cpu", "float32").compiled


def test_training_with_the_compiler_gives_the_same_network_nearly(trained, data):
    drops = []
    for compiled in (False, True):
        result = compress(
            trained,
            *data,
            place=Place(compiled=compiled),
            sparsity=0.6,
            max_drop=100.0,
            prune_epochs=0,
            learning_rate=0.02,
        )
        assert all((q._round is compiled_round.Round) == compiled for q in result.network.quantizers.values())
        drops.append([decision.drop for decision in result.decisions])
    for eager, other in zip(*drops, strict=True):
        assert abs(eager - other) <= 3.0  # a gradient is summed up in another order
