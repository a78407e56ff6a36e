"""What the papers say of each rule: gradients by hand on small cases, and optima as properties."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lamella.trainer.rules.binary import Binary
from lamella.trainer.rules.bwn import BinaryPerFilter
from lamella.trainer.rules.dorefa import Dorefa
from lamella.trainer.rules.fixed_point import FixedPoint
from lamella.trainer.rules.kmeans import nearest_scalar, nearest_vector, scalar_kmeans, vector_kmeans
from lamella.trainer.rules.palette import Palette
from lamella.trainer.rules.ttq import TrainedTernary
from lamella.trainer.rules.vector import Vector

from .test_ternary import dense_layer


def layer_of(rows: list[list[float]], rule):
    """A dense layer of given weights, nothing masked, under a rule."""
    layer = dense_layer(0, inputs=len(rows[0]), outputs=len(rows))
    layer.weight.data = torch.tensor(rows)
    layer.mask.fill_(True)
    layer.set_rule_(rule)
    return layer


def back(layer, grad: list[list[float]]):
    """Forward and backward with a given gradient at the weights of the forward pass."""
    weight = layer.rule.weight(layer)
    weight.backward(torch.tensor(grad))
    return weight.detach()


def test_binaryconnect_passes_the_gradient_and_clips():
    layer = layer_of([[0.5, -0.1], [0.0, -0.2]], Binary())
    weight = back(layer, [[1.0, 2.0], [3.0, 4.0]])
    torch.testing.assert_close(weight, torch.tensor([[0.2, -0.2], [0.2, -0.2]]))
    torch.testing.assert_close(layer.weight.grad, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    layer.weight.data = torch.tensor([[1.5, -3.0], [0.2, -0.9]])
    layer.rule.keep_valid_(layer)
    torch.testing.assert_close(layer.weight.data, torch.tensor([[1.0, -1.0], [0.2, -0.9]]))
    assert float(layer.extra["scale"]) == pytest.approx(0.2)  # the scale stays


def test_bwn_has_a_scale_per_filter_and_the_gradient_of_the_paper():
    layer = layer_of([[0.5, -0.3], [2.0, -0.4]], BinaryPerFilter())
    weight = back(layer, [[1.0, 2.0], [3.0, 4.0]])
    torch.testing.assert_close(weight, torch.tensor([[0.4, -0.4], [1.2, -1.2]]))
    # g (1/n + alpha [|w| <= 1]) / alpha, n = 2
    by_hand = torch.tensor([[1 * (0.5 / 0.4 + 1), 2 * (0.5 / 0.4 + 1)], [3 * (0.5 / 1.2), 4 * (0.5 / 1.2 + 1)]])
    torch.testing.assert_close(layer.weight.grad, by_hand)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), factor=st.floats(0.3, 2.0))
def test_bwn_scale_is_least_squares(seed, factor):
    layer = dense_layer(seed)
    w, alpha = layer.weight.detach().double(), BinaryPerFilter().alpha(layer).double()

    def error(scale):
        return (w - scale * w.sign()).square().sum(1)

    assert bool((error(alpha) <= error(alpha * factor) + 1e-9).all())


def test_ttq_learns_both_values_by_their_own_gradients():
    layer = layer_of([[1.0, 0.02, -0.4], [0.6, -0.2, 0.0]], TrainedTernary(threshold=0.05))
    torch.testing.assert_close(layer.extra["sides"].detach(), torch.tensor([0.8, 0.3]))
    weight = back(layer, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    low = 0.8 / 127 * round(0.3 / (0.8 / 127))
    torch.testing.assert_close(weight, torch.tensor([[0.8, 0.0, -low], [0.8, -low, 0.0]]))
    torch.testing.assert_close(layer.extra["sides"].grad, torch.tensor([1.0 + 4.0, -(3.0 + 5.0)]))
    above, below = 0.8 / 0.55, 0.3 / 0.55
    by_hand = torch.tensor([[above, 2.0, 3 * below], [4 * above, 5 * below, 6.0]])
    torch.testing.assert_close(layer.weight.grad, by_hand)


def test_ttq_gradient_is_the_derivative_of_the_loss():
    """With the rounding to 1/127 taken as the identity: a finite difference of a linear loss in W_p and W_n."""
    layer = layer_of([[1.0, 0.02, -0.4], [0.6, -0.2, 0.0]], TrainedTernary())
    grad = torch.tensor([[0.3, 0.1, -0.7], [0.2, 0.9, 0.4]])
    layer.rule.weight(layer).backward(grad)
    signs = torch.tensor([[1.0, 0.0, -1.0], [1.0, -1.0, 0.0]])

    def loss(values):
        return (grad * torch.where(signs > 0, values[0], torch.where(signs < 0, -values[1], 0.0))).sum()

    values = layer.extra["sides"].detach().clone().requires_grad_(True)
    torch.testing.assert_close(layer.extra["sides"].grad, torch.autograd.grad(loss(values), values)[0])


def test_ttq_values_stay_positive():
    layer = layer_of([[1.0, -0.4]], TrainedTernary())
    layer.extra["sides"].data.fill_(-1.0)
    layer.rule.keep_valid_(layer)
    assert bool((layer.extra["sides"] > 0).all())


@pytest.mark.parametrize("bits", [2, 4])
def test_dorefa_goes_through_tanh(bits):
    rows = [[0.9, -0.3], [0.1, -1.4]]
    layer = layer_of(rows, Dorefa(bits))
    weight = back(layer, [[1.0, 2.0], [3.0, 4.0]])
    smooth, n = torch.tanh(torch.tensor(rows)), 2**bits - 1
    top = smooth.abs().max()
    by_hand = (2 * torch.round((smooth / (2 * top) + 0.5) * n) / n - 1) * top  # the paper's, times max |tanh|
    torch.testing.assert_close(weight, by_hand)
    torch.testing.assert_close(layer.weight.grad, torch.tensor([[1.0, 2.0], [3.0, 4.0]]) * (1 - smooth**2))


def test_dorefa_of_one_bit_is_the_mean_of_the_layer():
    layer = layer_of([[0.5, -0.1], [0.0, -0.2]], Dorefa(1))
    weight = back(layer, [[1.0, 2.0], [3.0, 4.0]])
    torch.testing.assert_close(weight, torch.tensor([[0.2, -0.2], [0.2, -0.2]]))
    torch.testing.assert_close(layer.weight.grad, torch.tensor([[1.0, 2.0], [3.0, 4.0]]))


def test_fixed_point_rounds_to_a_power_of_two_and_stops_at_its_ends():
    layer = layer_of([[0.3, -0.26], [0.01, -0.5]], FixedPoint(4))
    layer.extra["scale"].data.fill_(1 / 16)
    layer.weight.data[1, 1] = -0.7  # beyond -8 / 16
    weight = back(layer, [[1.0, 2.0], [3.0, 4.0]])
    torch.testing.assert_close(weight, torch.tensor([[5 / 16, -4 / 16], [0.0, -8 / 16]]))
    torch.testing.assert_close(layer.weight.grad, torch.tensor([[1.0, 2.0], [3.0, 0.0]]))


def test_powers_of_two_are_the_nearest():
    rule = FixedPoint(4, powers=True)
    levels = torch.tensor([0.0, 1, 2, 4, 8, 16, 32, 64])
    x = torch.linspace(-80, 80, 4001)
    nearest = levels[(x.abs()[:, None] - levels).abs().argmin(1)] * x.sign()
    got = rule._round(x)
    assert set(got.abs().tolist()) == set(levels.tolist())
    torch.testing.assert_close((got - x).abs(), (nearest - x).abs())


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), bits=st.sampled_from([2, 4, 8]), powers=st.booleans())
def test_fixed_point_scale_is_the_best_power_of_two(seed, bits, powers):
    rule = FixedPoint(min(bits, 4) if powers else bits, powers)
    w = dense_layer(seed).weight.detach()
    scale = float(rule.best_scale(w))
    assert torch.log2(torch.tensor(scale)) == round(float(torch.log2(torch.tensor(scale))))

    def error(s: float) -> float:
        return float((rule._round(w / s) * s - w).square().sum())

    assert all(error(scale) <= error(scale * 2.0**k) for k in (-1, 1))


def test_a_palette_sums_the_gradients_of_those_that_share():
    layer = layer_of([[1.0, 1.2, -0.5], [-0.7, 1.1, -0.6]], Palette(2))
    torch.testing.assert_close(layer.extra["centroids"].detach(), torch.tensor([-0.6, 1.1]))
    back(layer, [[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    torch.testing.assert_close(layer.extra["centroids"].grad, torch.tensor([4.0 + 8 + 32, 1.0 + 2 + 16]))
    assert layer.weight.grad is None  # which weight takes which value stays


def test_pruned_weights_take_no_part_in_a_palette():
    layer = layer_of([[1.0, 1.2, -0.5], [-0.7, 1.1, 9.0]], Palette(3, masked=True))
    layer.mask[1, 2] = False
    layer.set_rule_(Palette(3, masked=True))
    weight = back(layer, [[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    torch.testing.assert_close(layer.extra["centroids"].grad, torch.tensor([4.0 + 8, 1.0 + 2 + 16]))
    assert float(weight[1, 2]) == 0.0


def test_pieces_share_a_vector():
    layer = layer_of([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0]], Vector(size=2, entries=4, bits=4))
    weight = back(layer, [[1.0, 2.0, 4.0, 8.0], [16.0, 32.0, 64.0, 128.0]])
    torch.testing.assert_close(weight, layer.weight.detach())
    members = layer.extra["members"]
    assert members[0] == members[1] == members[3] != members[2]
    gradients = layer.extra["centroids"].grad
    torch.testing.assert_close(gradients[members[0]], torch.tensor([1.0 + 4 + 64, 2.0 + 8 + 128]))
    torch.testing.assert_close(gradients[members[2]], torch.tensor([16.0, 32.0]))


def test_pieces_run_over_row_ends():
    rule = Vector(size=4, entries=8)
    weight = torch.arange(14.0).reshape(2, 7)
    assert rule.pieces(weight).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 0, 0]]


def test_small_layers_have_fewer_vectors():
    assert [Vector(entries=8).entries_for(pieces) for pieces in (1, 8, 15, 16, 32, 1000)] == [2, 2, 2, 4, 8, 8]
    assert Vector(entries=50).entries_for(1000) == 50


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 16))
def test_kmeans_never_gets_worse(seed, count):
    values = torch.randn(300, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    vectors = values.reshape(-1, 3)
    scalar, vector = [], []
    for rounds in range(6):
        c = scalar_kmeans(values, count, rounds)
        scalar.append(float((values - c[nearest_scalar(values, c)]).square().sum()))
        v = vector_kmeans(vectors, count, rounds)
        vector.append(float((vectors - v[nearest_vector(vectors, v)]).square().sum()))
    assert all(b <= a + 1e-9 for errors in (scalar, vector) for a, b in pairwise(errors))
    assert len(c) == count and bool((c[1:] >= c[:-1]).all())


def test_nearest_is_the_nearest():
    generator = torch.Generator().manual_seed(5)
    values, centroids = torch.randn(200, generator=generator), torch.randn(7, generator=generator).sort().values
    assert torch.equal(nearest_scalar(values, centroids), (values[:, None] - centroids).abs().argmin(1))
    vectors, book = torch.randn(50, 4, generator=generator), torch.randn(9, 4, generator=generator)
    assert torch.equal(nearest_vector(vectors, book), torch.cdist(vectors, book).argmin(1))
