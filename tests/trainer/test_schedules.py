"""Learning rates of the phases, and what a bound in points means."""

import pytest

from lamella.errors import UsageError
from lamella.trainer import compress
from lamella.trainer.decisions import points_lost


@pytest.mark.parametrize(("asked", "first"), [(0.0, 0.02), (0.004, 0.004)])
def test_the_last_epochs_have_a_rate_of_their_own(asked, first, trained, data):
    seen = []
    options = {
        "sparsity": 0.6,
        "learning_rate": 0.02,
        "final_epochs": 1,
        "final_learning_rate": asked,
        "max_drop": 50.0,
    }
    compress(trained, *data, log=seen.append, **options)
    rates = {line["phase"]: line["learning_rate"] for line in seen if "learning_rate" in line}
    assert rates.pop("final") == first
    assert set(rates.values()) == {0.02}


def test_a_negative_rate_is_refused(trained, data):
    with pytest.raises(UsageError, match="final_learning_rate"):
        compress(trained, *data, final_learning_rate=-0.1)


def test_the_loop_may_lose_what_the_last_epochs_win_back(trained, data):
    options = {"sparsity": 0.93, "layer_epochs": 0, "prune_epochs": 0, "max_drop": 0.0, "on_violation": "skip"}
    strict = compress(trained, *data, **options)
    generous = compress(trained, *data, **options, recover=90.0, final_epochs=4, learning_rate=0.05)
    assert not all(d.accepted for d in strict.decisions)
    assert all(d.accepted for d in generous.decisions)
    assert generous.validation_drop < max(d.drop for d in generous.decisions)
    assert generous.options.max_drop == 0.0


@pytest.mark.parametrize("other", [{}, {"final_epochs": 1, "final_data": "train+validation"}])
def test_nothing_can_be_won_back_without_epochs_that_validation_judges(other, trained, data):
    with pytest.raises(UsageError, match="recover"):
        compress(trained, *data, recover=1.0, **other)


def test_a_loss_of_exactly_the_bound_is_within_it():
    assert 100 * (0.998 - 0.988) > 1.0
    assert points_lost(0.998, 0.988) == 1.0
