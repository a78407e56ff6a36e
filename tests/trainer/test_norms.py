"""BatchNorm's statistics for evaluation are the average over the batches asked for."""

import torch
from torch import nn

from lamella.trainer import compress
from lamella.trainer.norms import renew_statistics_

OPTIONS = {"sparsity": 0.6, "max_drop": 100.0, "prune_epochs": 0, "layer_epochs": 1, "learning_rate": 0.02}


def test_statistics_are_the_mean_of_those_of_the_batches():
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 4), nn.BatchNorm1d(4))
    batches = [(torch.randn(n, 3) + n, torch.zeros(n, dtype=torch.int64)) for n in (5, 8, 1, 6)]
    before = [p.detach().clone() for p in network.parameters()]
    renew_statistics_(network, batches, 3)
    first, norm = network[0], network[1]
    parts = [first(x) for x, _ in batches[:2]]  # the third has one sample, the fourth is one too many
    torch.testing.assert_close(norm.running_mean, sum(p.mean(0) for p in parts) / 2)
    torch.testing.assert_close(norm.running_var, sum(p.var(0) for p in parts) / 2)
    assert network.training and norm.training and norm.momentum == 0.1
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    behind = [network[3](norm.train()(p)) for p in parts]  # Dropout was off
    renew_statistics_(network, batches, 2)
    torch.testing.assert_close(network[4].running_mean, sum(p.mean(0) for p in behind) / 2)


def test_none_are_renewed_unless_asked():
    norm = nn.BatchNorm1d(3)
    renew_statistics_(norm, [(torch.randn(4, 3), torch.zeros(4, dtype=torch.int64))], 0)
    assert torch.equal(norm.running_mean, torch.zeros(3))


def test_compression_renews_them_after_each_phase(trained, data):
    def norms(**options) -> list[torch.Tensor]:
        network = compress(trained, *data, **OPTIONS, **options).network
        return [m.num_batches_tracked for m in network.modules() if isinstance(m, nn.BatchNorm2d)]

    assert set(map(int, norms(norm_batches=3))) == {3}
    assert set(map(int, norms(norm_batches=3, own_loop=lambda network, epochs: None))) == {3}
    assert min(map(int, norms())) > 3
