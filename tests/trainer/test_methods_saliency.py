"""What weights and layers are worth: Optimal Brain Damage's curvature and the Hessian's trace, against exact ones."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lamella.errors import UsageError
from lamella.trainer import compress
from lamella.trainer.network import QuantNetwork
from lamella.trainer.prune import mask_sparsity, prune_
from lamella.trainer.saliency import SALIENCIES, fisher_diagonal, saliency_of
from lamella.trainer.significance import hessian_traces, order_layers
from lamella.trainer.trace import trace


class TwoLayers(nn.Module):
    """So small that its Hessian can be computed whole."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(3, 4)
        self.fc2 = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


@pytest.fixture
def small():
    """(network, inputs, labels)."""
    torch.manual_seed(0)
    model, x, y = TwoLayers(), torch.randn(64, 3), torch.randint(0, 3, (64,))
    return QuantNetwork(trace(model, x[:2]), model, learned_ranges=False).eval(), x, y


def test_fisher_diagonal_is_that_of_gauss_newton(small):
    """J' (diag p - p p') J with the Jacobian J of the scores, mean over the samples."""
    network, x, _ = small
    names, exact = network.compressible, {}
    for name in names:
        weight, total = network.layers[name].weight, 0.0
        for sample in x:
            scores = network(sample[None])[0]
            p = scores.detach().softmax(0)
            jacobian = torch.stack([torch.autograd.grad(s, weight, retain_graph=True)[0].flatten() for s in scores])
            total = total + torch.einsum("ci,cd,di->i", jacobian, p.diag() - p[:, None] * p, jacobian)
        exact[name] = (total / len(x)).reshape(weight.shape)
    found = fisher_diagonal(network, [x] * 200)
    for name in names:
        torch.testing.assert_close(found[name], exact[name], rtol=0.25, atol=0.02 * float(exact[name].max()))


def test_obd_is_curvature_times_half_the_square(small):
    network, x, _ = small
    h, scores = fisher_diagonal(network, [x]), saliency_of("obd")(network, [x])
    for name in network.compressible:
        w = network.layers[name].weight.detach()
        torch.testing.assert_close(
            scores[name], h[name] * w.square() / 2, rtol=0.01, atol=1e-2 * float(scores[name].max())
        )


def test_obd_removes_what_costs_nothing(small):
    """Weights of an input that is always zero go first, however large they are."""
    network, x, _ = small
    x = x.clone()
    x[:, 1] = 0.0
    network.layers["fc1"].weight.data[:, 1] = 5.0
    network.layers["fc1"].bias.data.fill_(2.0)  # every neuron is at work: no other weight is of no use
    prune_(network, 0.25, saliency_of("obd")(network, [x]))
    assert not network.layers["fc1"].mask[:, 1].any()
    prune_(network, 0.25, saliency_of("magnitude")(network, [x]))
    assert network.layers["fc1"].mask[:, 1].all()


@pytest.mark.parametrize("name", SALIENCIES)
@pytest.mark.parametrize("sparsity", [0.25, 0.6])
def test_one_threshold_gives_the_asked_sparsity(name, sparsity, trained, data):
    network = QuantNetwork(trace(trained, data[0].x[:2]), trained, learned_ranges=True)
    prune_(network, sparsity, saliency_of(name)(network, [data[0].x[:64]]))
    masks = [network.layers[layer].mask for layer in network.compressible]
    zeros, total = sum(int((~m).sum()) for m in masks), sum(m.numel() for m in masks)
    assert zeros == pytest.approx(sparsity * total, abs=2)
    assert len(set(mask_sparsity(network).values())) > 1


def test_an_unknown_saliency_is_refused():
    with pytest.raises(UsageError, match="did you mean"):
        saliency_of("magnitud")


def test_hessian_trace_is_that_of_the_whole_hessian(small):
    network, x, y = small
    found = hessian_traces(network, [(x, y)], probes=3000)
    for name in network.compressible:
        weight = network.layers[name].weight

        def loss(value, name=name):
            return F.cross_entropy(torch.func.functional_call(network, {f"layers.{name}.weight": value}, (x,)), y)

        n = weight.numel()
        whole = torch.autograd.functional.hessian(loss, weight.detach()).reshape(n, n)
        assert found[name] == pytest.approx(float(whole.trace()), rel=0.1)


def test_layers_are_ordered_by_trace_per_weight(small):
    network, x, y = small
    traces = hessian_traces(network, [(x, y)])
    per_weight = {name: t / network.layers[name].weight.numel() for name, t in traces.items()}
    assert order_layers(network, "hessian", lambda name: 0.0, [(x, y)]) == sorted(per_weight, key=per_weight.get)


def test_compression_can_be_ordered_by_the_hessian(trained, data):
    result = compress(trained, *data, order="hessian", sparsity=0.6, max_drop=50.0, layer_epochs=0, learning_rate=0.02)
    assert sorted(result.layer_order) == ["conv1", "conv2", "fc1", "fc2"]
    again = compress(trained, *data, order="hessian", sparsity=0.6, max_drop=50.0, layer_epochs=0, learning_rate=0.02)
    assert again.layer_order == result.layer_order
