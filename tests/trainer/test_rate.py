"""Entropy-aware thresholds: exact sparsity, and never more bits than one threshold for all layers."""

import math
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lamella.errors import UsageError
from lamella.trainer.rate import LEAST, kept_counts, price, prices


def entropy_bits(size, count):
    """Bits of a layer with `count` non-zero ones; above density 2/3 those at 2/3, as more weights are never cheaper."""
    d = min(count / size, 2 / 3)
    return size * (d - d * math.log2(d) - (1 - d) * math.log2(1 - d))


def _global(losses, kept):
    pooled = torch.cat([t.flatten() for t in losses.values()])
    least = pooled.sort(descending=True)[0][kept - 1]
    return {n: int((t >= least).sum()) for n, t in losses.items()}


def _layers(seed, sizes):
    g = torch.Generator().manual_seed(seed)
    return {str(i): (torch.randn(n, generator=g) * (i + 1)).double() ** 2 for i, n in enumerate(sizes)}


@given(st.integers(0, 10**6), st.lists(st.integers(1, 200), min_size=1, max_size=4), st.floats(0, 0.99))
def test_sparsity_is_met_and_bits_are_not_more(seed, sizes, sparsity):
    losses = _layers(seed, sizes)
    kept = max(len(sizes), round((1 - sparsity) * sum(sizes)))
    counts, other = kept_counts(losses, kept), _global(losses, kept)
    assert sum(counts.values()) == kept and all(1 <= counts[n] <= len(losses[n]) for n in losses)
    if all(other.values()):
        bits = [sum(entropy_bits(len(losses[n]), c[n]) for n in losses) for c in (counts, other)]
        assert bits[0] <= bits[1] + 1e-6 * bits[1]


@pytest.mark.parametrize("density", [1e-6, 0.01, 0.3, 0.5, 0.64])
def test_a_price_is_what_one_more_weight_costs(density):
    size = 10**9
    more = entropy_bits(size, density * size + 10) - entropy_bits(size, density * size - 10)
    assert price(density) == pytest.approx(more / 20, rel=1e-3)


def test_where_most_weights_are_left_the_price_is_the_least():
    assert price(2 / 3) == price(0.9) == price(1.0) == LEAST


@given(st.integers(0, 10**6), st.lists(st.integers(1, 6), min_size=2, max_size=3), st.floats(0, 0.9))
def test_no_other_choice_of_as_few_bits_removes_less(seed, sizes, sparsity):
    """Against all choices there are."""
    losses = _layers(seed, sizes)
    kept = max(len(sizes), round((1 - sparsity) * sum(sizes)))
    cost, ours = prices(losses, kept), kept_counts(losses, kept)
    ranked = {n: t.sort(descending=True)[0] for n, t in losses.items()}

    def bits_and_kept(counts):
        return sum(cost[n] * k for n, k in counts.items()), sum(float(ranked[n][:k].sum()) for n, k in counts.items())

    bits, keeps = bits_and_kept(ours)
    for counts in product(*(range(1, size + 1) for size in sizes)):
        other_bits, other_keeps = bits_and_kept(dict(zip(losses, counts, strict=True)))
        assert other_bits > bits + 1e-9 or other_keeps <= keeps + 1e-9


def test_a_large_layer_of_small_weights_is_not_emptied():
    """As the first of LeNet-300-100: densities stay those of one threshold within a small factor."""
    g = torch.Generator().manual_seed(0)
    losses = {
        "wide": (torch.randn(20_000, generator=g) * 0.04) ** 2,
        "narrow": (torch.randn(2_000, generator=g) * 0.08) ** 2,
    }
    counts, other = kept_counts(losses, 2200), _global(losses, 2200)
    assert other["wide"] / 3 < counts["wide"] < other["wide"]


@pytest.mark.parametrize("kept", [2, 40, 100, 180, 199])
def test_equal_layers_keep_equally_many(kept):
    one = _layers(3, [100])["0"]
    counts = kept_counts({"a": one, "b": one.clone()}, kept)
    assert abs(counts["a"] - counts["b"]) <= 1


def test_thresholds_differ_from_one_for_all():
    losses = _layers(1, [400, 400])
    assert kept_counts(losses, 200) != _global(losses, 200)


def test_ties_are_met_exactly_and_too_few_are_refused():
    same = {"a": torch.ones(10), "b": torch.ones(30)}
    assert sum(kept_counts(same, 17).values()) == 17
    with pytest.raises(UsageError, match="2 layers"):
        kept_counts(same, 1)
