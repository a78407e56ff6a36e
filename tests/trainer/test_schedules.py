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


@pytest.mark.parametrize(("asked", "passes", "share"), [(0.25, 1, 0.25), (1.5, 2, 0.75), (2, 2, 1.0), (0.001, 1, 0.0)])
def test_a_phase_may_last_a_part_of_an_epoch(asked, passes, share, trained, data):
    """So many passes, over fewer batches, of another part of the data each time."""
    seen, batches = [], len(data[0])
    orders = []

    class Recorded:
        def __len__(self):
            return batches

        def set_epoch(self, epoch):
            orders.append(epoch)
            data[0].set_epoch(epoch)

        def __iter__(self):
            for x, y in data[0]:
                seen.append(len(y))
                yield x, y

    options = {"sparsity": 0.6, "prune_epochs": 1, "layer_epochs": asked, "max_drop": 100.0}
    result = compress(trained, Recorded(), data[1], calibration_batches=1, **options)
    layers = len(result.decisions)
    assert result.epochs == pytest.approx(1 + layers * asked)
    expected = max(1, round(share * batches))
    descents = [epoch for epoch in orders if epoch >= 1]  # epoch 0 is that of pruning and of calibrations
    assert descents == list(range(1, 1 + layers * passes))
    # every calibration looks at one batch; those at pruning and at each collapse
    calibrations = len(seen) - batches - layers * passes * expected
    assert 0 < calibrations <= 4 * (layers + 2)


def test_a_part_of_an_epoch_is_not_for_a_loop_of_ones_own(trained, data):
    with pytest.raises(UsageError, match="layer_epochs = 0.5"):
        compress(trained, *data, layer_epochs=0.5, own_loop=lambda network, epochs: None)
