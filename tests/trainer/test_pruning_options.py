"""saliency, thresholds and final_data in layer-wise compression."""

import math

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset

from lamella.errors import UsageError
from lamella.trainer import compress, integer
from lamella.trainer.batches import Interleaved, TensorBatches, number_of
from lamella.trainer.options import CHOICES, CompressOptions
from lamella.trainer.saliency import SALIENCIES

QUICK = {"sparsity": 0.6, "learning_rate": 0.02, "max_drop": 50.0, "prune_epochs": 2, "prune_steps": 2}
#: Without the epochs that these tests are not about.
SHORT = {"sparsity": 0.6, "learning_rate": 0.02, "max_drop": 50.0, "prune_epochs": 0, "layer_epochs": 0}
BOTH = {**SHORT, "final_epochs": 1, "final_data": "train+validation"}


@pytest.fixture(scope="module")
def few(data):
    """(training, validation) of eight and three batches."""
    return TensorBatches(data[0].x[:256], data[0].y[:256], 32, True), TensorBatches(data[1].x[:90], data[1].y[:90], 32)


def test_every_saliency_is_a_choice():
    assert set(CHOICES["saliency"]) == set(SALIENCIES)


@pytest.mark.parametrize("thresholds", CHOICES["thresholds"])
@pytest.mark.parametrize("saliency", SALIENCIES)
def test_pruning_is_exact_repeatable_and_resumable(trained, few, saliency, thresholds):
    states = []
    options = {**QUICK, "saliency": saliency, "thresholds": thresholds, "calibration_batches": 2}
    result = compress(trained, *few, save=states.append, **options)
    layers = [result.network.layers[n] for n in result.network.compressible]
    zeros, total = sum(int((~la.mask).sum()) for la in layers), sum(la.mask.numel() for la in layers)
    assert zeros == math.floor(0.6 * total)
    for again in (
        compress(trained, *few, **options),
        compress(trained, *few, resume=states[0], **options),
    ):
        for name, layer in result.frozen.layers.items():
            assert (layer.levels == again.frozen.layers[name].levels).all()


def test_saliency_and_thresholds_choose_different_weights(trained, few):
    masks = set()
    for saliency in SALIENCIES:
        for thresholds in CHOICES["thresholds"]:
            network = compress(trained, *few, saliency=saliency, thresholds=thresholds, **SHORT).network
            masks.add(b"".join(network.layers[n].mask.numpy().tobytes() for n in network.compressible))
    assert len(masks) == len(SALIENCIES) * len(CHOICES["thresholds"])


def test_final_data_reports_what_was_measured_before(trained, few):
    """What trained on the validation split cannot be judged by it, however good it looks there."""
    rough = {**BOTH, "sparsity": 0.95, "max_drop": 100.0}
    states = []
    plain = compress(trained, *few, **{**rough, "final_epochs": 0, "final_data": "train"})
    for result in (
        compress(trained, *few, save=states.append, **rough),
        compress(trained, *few, resume=states[-1], **rough),  # all is done there
    ):
        last = result.points[-1]
        assert last.what == "final, validation data trained on" and last.accepted and result.epochs == plain.epochs + 1
        assert result.validation_accuracy == plain.validation_accuracy < last.accuracy
        assert integer.accuracy(result.frozen, few[1]) == last.accuracy


def test_final_epochs_see_both_splits_of_a_data_loader(trained, few, monkeypatch):
    """The user's own loaders, with batches of other sizes, a last one of a single sample among them."""
    seen = []

    class Samples(torch.utils.data.Dataset):
        def __init__(self, batches, count):
            self.pairs = [(batches.x[i], int(batches.y[i])) for i in range(count)]

        def __len__(self):
            return len(self.pairs)

        def __getitem__(self, index):
            return self.pairs[index]

    training = DataLoader(Samples(few[0], 48), batch_size=16, shuffle=True)
    validation = DataLoader(Samples(few[1], 41), batch_size=40)
    real = Interleaved.__iter__

    def noting(self):
        for batch in real(self):
            seen.append(batch)
            yield batch

    monkeypatch.setattr(Interleaved, "__iter__", noting)
    compress(trained, training, validation, **BOTH)
    assert [len(y) for _, y in seen] == [16, 14, 16, 14, 16, 13]
    ours = torch.cat([x for x, _ in seen]).flatten(1)
    wanted = torch.cat([few[0].x[:48], few[1].x[:41]]).flatten(1)
    assert sorted(map(tuple, ours.tolist())) == sorted(map(tuple, wanted.tolist()))


def test_final_data_where_it_means_nothing_is_refused(trained, few):
    with pytest.raises(UsageError, match="own_loop"):
        compress(trained, *few, own_loop=lambda network, epochs: None, **BOTH)
    with pytest.raises(UsageError, match="raise final_epochs"):
        CompressOptions(final_data="train+validation")
    with pytest.raises(UsageError, match=r"choose one of train, train\+validation"):
        CompressOptions(final_data="trian")


def test_interleaved_has_every_sample_once_in_an_order_of_its_epoch():
    first = TensorBatches(torch.arange(10.0)[:, None], torch.zeros(10, dtype=torch.long), 2, True)
    second = [(torch.arange(10.0, 17.0)[:, None], torch.zeros(7, dtype=torch.long))]
    both = Interleaved(first, second, 2, seed=1)
    orders = []
    for epoch in (3, 4, 3):
        both.set_epoch(epoch)
        batches = list(both)
        assert len(batches) == len(both) == 9 and max(len(y) for _, y in batches) == 2 and first.epoch == epoch
        orders.append(torch.cat([x for x, _ in batches]).flatten().tolist())
    assert all(sorted(order) == list(range(17)) for order in orders)
    assert orders[0] == orders[2] != orders[1]


def test_batches_are_counted_where_data_do_not_tell():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(range(7))

    loader = DataLoader(Stream(), batch_size=3)
    assert number_of(loader) == 3 and number_of([1, 2]) == 2 and number_of(iter("abc")) == 3
