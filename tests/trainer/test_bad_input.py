"""What a user can get wrong or the machine can fail in: one clear message, nothing lost."""

import json

import pytest
import torch
from torch import nn

from lamella import cli
from lamella.errors import PlatformError, UnsupportedError, UsageError
from lamella.trainer import compress
from lamella.trainer.batches import TensorBatches
from lamella.trainer.metrics import layer_metrics
from lamella.trainer.recipe import read_recipe

from .conftest import SmallNet, stripes
from .test_session import RECIPE, fails, recipe_in, toy_modules  # noqa: F401

#: Everything once and no more.
SHORT = RECIPE.replace("epochs = 3", "epochs = 2", 1).replace("sparsity = 0.6", "sparsity = 0.6\nlayer_epochs = 0")
NO_EPOCHS = {"sparsity": 0.6, "max_drop": 100.0, "prune_epochs": 0, "layer_epochs": 0, "learning_rate": 0.02}
NAN = float("nan")


def dense(outputs: int = 4) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs))


@pytest.fixture(scope="module")
def few(data):
    """(training, validation) of three and two batches."""
    return TensorBatches(data[0].x[:96], data[0].y[:96], 32, True), TensorBatches(data[1].x[:64], data[1].y[:64], 32)


@pytest.mark.parametrize(
    ("data_set", "code", "said"),
    [
        ("strange_labels", 2, "test data, batch 0: label 4 is outside 0..3"),
        ("too_few_labels", 2, "640 samples and 639 labels"),
        ("no_test", 2, "the test part is empty"),
        ("other_pictures", 2, "test data, batch 0: a sample has shape (1, 4, 8), others (1, 8, 8)"),
        ("broken", 2, "training data, batch 0: holds NaN"),
    ],
)
def test_data_are_refused_before_any_training(data_set, code, said, tmp_path, capsys):
    text = RECIPE.replace("toy:load", f"toy:{data_set}").replace("epochs = 3", "epochs = 1000000")
    fails(["train", str(recipe_in(tmp_path, text)), "--out", str(tmp_path / "o")], code, said, capsys)
    assert not (tmp_path / "o" / "checkpoint.pt").exists()


@pytest.mark.parametrize("command", ["train", "ablate", "compare", "search"])
def test_a_network_or_a_layer_is_refused_before_any_training(command, tmp_path, capsys):
    out = ["--out", str(tmp_path / "o")]
    endless = RECIPE.replace("epochs = 3", "epochs = 1000000") + "[search]\nsparsity = [0.5, 0.6]\n"
    text = endless.replace("toy:network", "toy:transposed_network")
    fails([command, str(recipe_in(tmp_path, text)), *out], 3, "layer 0 (ConvTranspose2d) is not supported", capsys)
    text = endless.replace("final_epochs = 1", 'keep = ["conv3"]')
    fails([command, str(recipe_in(tmp_path, text)), *out], 2, "keep: there is no layer 'conv3'", capsys)
    text = endless.replace("final_epochs = 1", 'ladder = ["sprase"]')
    fails([command, str(recipe_in(tmp_path, text)), *out], 2, "sprase", capsys)


class Embedded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.fc = nn.Linear(256, 4)

    def forward(self, x):
        return self.fc(self.embedding(x.flatten(1)).flatten(1))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (nn.Sequential(nn.ConvTranspose2d(1, 2, 3), nn.Flatten(), nn.Linear(200, 4)), r"layer 0 \(ConvTranspose2d\)"),
        (nn.Sequential(nn.Flatten(), nn.LayerNorm(64), nn.Linear(64, 4)), r"layer 1 \(LayerNorm\)"),
        (Embedded(), r"layer embedding \(Embedding\)"),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(63, 4)),
            r"layer 1 \(Linear\) fails .*\(2, 1, 8, 8\): mat1 and mat2 shapes",
        ),
    ],
)
def test_a_layer_that_cannot_be_deployed_is_named_with_those_that_can(model, said, few, capsys):
    with pytest.raises(UnsupportedError, match=f"{said}.*Conv2d, Linear, GRU"):
        compress(model, *few)
    assert capsys.readouterr().err == ""


def test_what_is_not_collapsed_stays_int8_and_says_why(few):
    """A BatchNorm alone has no weights to collapse; `keep` is the user's; the rest is compressed."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 4, 3, groups=1), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4))
    result = compress(model, *few, keep=("conv2d_1",), **NO_EPOCHS)
    layers = {record["name"]: record for record in layer_metrics(result)}
    assert "BatchNorm alone" in layers["batchnorm2d_0"]["reason"]
    assert "keep" in layers["conv2d_1"]["reason"]
    for name in ("batchnorm2d_0", "conv2d_1"):
        assert layers[name]["format"].startswith("int8") and not layers[name]["accepted"]
    assert layers["linear_4"]["accepted"] and "int8" not in layers["linear_4"]["format"]


def test_grouped_layers_are_compressed_as_any_other(few):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=2), nn.Flatten(), nn.Linear(128, 4))
    result = compress(model, *few, **NO_EPOCHS)
    assert all(record["accepted"] for record in layer_metrics(result))


def pairs(x=None, y=None):
    return [(torch.rand(8, 1, 8, 8) if x is None else x, torch.arange(8) % 4 if y is None else y)]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (5, "int has no batches"),
        ([], "no batches that hold samples"),
        (pairs(torch.rand(0, 1, 8, 8), torch.zeros(0, dtype=torch.long)), "no batches that hold samples"),
        (pairs(y=torch.full((8,), 4)), r"batch 0: label 4 is outside 0\.\.3"),
        (pairs(y=torch.full((8,), -1)), r"batch 0: label -1 is outside 0\.\."),
        (pairs(y=torch.zeros(8, 1, dtype=torch.long)), "one label a sample"),
        (pairs(y=torch.zeros(8)), "class numbers"),
        (pairs(torch.tensor(1.0), torch.tensor(1)), "samples along the first axis"),
        (pairs(["a"] * 8), "cannot be made tensors"),
        (pairs(torch.full((8, 1, 8, 8), NAN)), "batch 0: holds NaN"),
        (pairs() + pairs(torch.rand(8, 1, 4, 8)), r"batch 1: a sample has shape \(1, 4, 8\), others \(1, 8, 8\)"),
    ],
)
def test_batches_of_ones_own_are_refused(wrong, said, few):
    options = {**NO_EPOCHS, "prune_epochs": 1}
    with pytest.raises(UsageError, match=f"validation data.*{said}"):
        compress(dense(), few[0], wrong, **options)
    with pytest.raises(UsageError, match=f"training data.*{said}"):
        compress(dense(), wrong, few[1], **options)


def test_a_validation_of_another_shape_is_refused(few):
    with pytest.raises(UsageError, match=r"validation data, batch 0: a sample has shape \(1, 4, 8\)"):
        compress(dense(), few[0], pairs(torch.rand(8, 1, 4, 8)))


def test_a_single_sample_under_batch_norm_says_what_to_change():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))
    batches = stripes(33, 1)
    with pytest.raises(UsageError, match="batch 1: a single sample.*drop_last"):
        compress(model, batches, batches, **{**NO_EPOCHS, "prune_epochs": 1})


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        (1e12, r"prune: .*1.weight became NaN or infinite in epoch 1.*learning rate below 1e\+30"),
        (1e6, "values are NaN or infinite on the calibration data.*lower learning rate"),
    ],
)
def test_divergence_in_the_last_step_of_all_is_seen(scale, said, few):
    """The loss is that before the step, so of one batch alone it shows nothing; weights may be finite, their sums not."""
    one = [(few[0].x[:32] * scale, few[0].y[:32])]
    with pytest.raises(PlatformError, match=said):
        compress(dense(), one, one, **{**NO_EPOCHS, "prune_epochs": 1, "learning_rate": 1e30})


def test_divergence_in_ones_own_loop_is_seen(few):
    def loop(network, epochs):
        for layer in network.layers.values():
            layer.weight.data.fill_(NAN)

    with pytest.raises(PlatformError, match="own_loop: .*weight became NaN"):
        compress(dense(), *few, own_loop=loop, **{**NO_EPOCHS, "prune_epochs": 1})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_drop": NAN}, "max_drop = nan"),
        ({"sparsity": "0.5"}, "sparsity must be a number, not '0.5'"),
        ({"prune_epochs": 1.5}, "prune_epochs must be an integer"),
        ({"keep": "fc1"}, "keep must be a tuple of strings"),
        ({"sigma_per_channel": 1}, "sigma_per_channel must be True or False"),
        ({"learning_rate": float("inf")}, "learning_rate = inf"),
        ({"weight_decay": -1.0}, "weight_decay = -1.0"),
        ({"saliency": "obs"}, "choose one of magnitude, obd"),
        ({"thresholds": "entropie"}, "choose one of global, entropy"),
        ({"threshold_": 1.0}, "threshold"),
        ({"sparsity": 0.9999}, "sparsity"),
        ({"sparsity": 0.9999, "thresholds": "entropy"}, "sparsity"),
    ],
)
def test_options_out_of_place_are_named(options, said, trained, few):
    with pytest.raises(UsageError, match=said):
        compress(trained, *few, **{**NO_EPOCHS, **options})


@pytest.mark.parametrize(("key", "value"), [("momentum", "1.0"), ("weight_decay", "-0.1"), ("learning_rate", "nan")])
def test_descent_out_of_range_is_refused_with_the_recipe(key, value, tmp_path):
    text = RECIPE.replace("learning_rate = 0.05", f"{key} = {value}")
    with pytest.raises(UsageError, match=rf"toy.toml: \[train\] {key} = {value} is out of range"):
        read_recipe(recipe_in(tmp_path, text))


def test_things_that_are_no_model_or_no_state(few):
    with pytest.raises(UsageError, match="torch.nn.Module"):
        compress(lambda x: x, *few)
    with pytest.raises(UsageError, match="no state that compress gave"):
        compress(dense(), *few, resume={})
    model = dense()
    model[1].weight.data[0, 0] = NAN
    with pytest.raises(UsageError, match="1.weight holds NaN"):
        compress(model, *few)


def test_a_state_of_another_network_is_refused(trained, few):
    states = []
    compress(trained, *few, save=states.append, **NO_EPOCHS)
    with pytest.raises(UsageError, match="belongs to another network: it has layers conv1"):
        compress(dense(), *few, resume=states[0], **NO_EPOCHS)
    wider = SmallNet()
    wider.fc1, wider.fc2 = nn.Linear(72, 25), nn.Linear(25, 4)
    with pytest.raises(UsageError, match=r"belongs to another network: .*fc1.* differs in shape"):
        compress(wider, *few, resume=states[0], **NO_EPOCHS)


def test_a_bound_out_of_reach_keeps_every_layer_and_exits_with_1(tmp_path, capsys):
    text = SHORT.replace("sparsity = 0.6", "sparsity = 0.97\nprune_epochs = 0\nkept_layers = 'dense'")
    text = text.replace("final_epochs = 1", "final_epochs = 0").replace("max_drop = 50.0", "max_drop = 0.0")
    out = tmp_path / "o"
    code = cli.main(["train", str(recipe_in(tmp_path, text)), "--out", str(out)])
    report = json.loads((out / "metrics.json").read_text())
    assert code == (1 if report["validation_drop"] > 0 else 0)
    first = next(record for record in report["layers"] if record["order"] == 1)
    assert not first["accepted"] and "more than 0: int8" in first["reason"]
    assert all(not record["accepted"] for record in report["layers"]) and (out / "model.onnx").is_file()
