"""Recipes: what is read, and what is said of a slip."""

from pathlib import Path

import pytest

from lamella.errors import UsageError
from lamella.trainer.recipe import read_recipe

GOOD = """
[network]
name = "lenet5"
[data]
name = "fashion_mnist"
[train]
epochs = 3
seed = 4
[compress]
sparsity = 0.8
keep = ["conv1"]
"""
EXAMPLES = Path(__file__).parents[2] / "examples"


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def test_values_defaults_and_overrides(tmp_path):
    path = written(tmp_path, GOOD)
    recipe = read_recipe(path)
    assert (recipe.train.epochs, recipe.compress.sparsity, recipe.compress.keep) == (3, 0.8, ("conv1",))
    assert recipe.compress.seed == recipe.train.seed == 4
    assert recipe.compress.max_drop == 1.0
    recipe = read_recipe(path, max_drop=2.5, sparsity=0.5, seed=9)
    assert (recipe.compress.max_drop, recipe.compress.sparsity, recipe.compress.seed, recipe.train.seed) == (
        2.5,
        0.5,
        9,
        9,
    )


def test_a_table_of_ladders(tmp_path):
    recipe = read_recipe(written(tmp_path, GOOD + '[compress.ladders]\nfc1 = ["ternary", "int4"]\n'))
    assert recipe.compress.ladders == {"fc1": ("ternary", "int4")}
    assert recipe.to_dict()["compress"]["ladders"] == {"fc1": ["ternary", "int4"]}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/recipe.toml")), ids=lambda p: p.parent.name)
def test_every_example_is_valid(path):
    assert read_recipe(path).train.epochs >= 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("sparsity = 0.8", "sparsty = 0.8", 'sparsty.*did you mean "sparsity"'),
        ("epochs = 3", "epoch = 3", 'did you mean "epochs"'),
        ("[train]", "[trian]", 'did you mean "train"'),
        ("epochs = 3", 'epochs = "3"', "epochs must be an integer"),
        ("epochs = 3", "epochs = 3.5", "epochs must be an integer"),
        ("epochs = 3", "epochs = true", "epochs must be an integer"),
        ("sparsity = 0.8", "sparsity = 1.5", "sparsity = 1.5 is out of range"),
        ('keep = ["conv1"]', 'keep = "conv1"', "list of strings"),
        ('name = "lenet5"', "", r"\[network\] name is missing"),
        ("[network]\n", "", "network"),
        ("seed = 4", "seed = ", "not valid TOML"),
        ("sparsity = 0.8", "seed = 3", r"seed in \[train\]"),
        ("epochs = 3", "threads = 0", "threads = 0 is out of range"),
        ('keep = ["conv1"]', 'ladders = ["int4"]', "ladders must be a table"),
        ('keep = ["conv1"]', 'ladders.fc1 = "int4"', "ladders: fc1 must be a list of strings"),
        ('keep = ["conv1"]', "ladders.fc1 = []", r"\[compress\] ladders: fc1 = \[\] is out of range"),
        ("epochs = 3", 'optimizer = "lion"', "sgd, adam"),
        ('name = "fashion_mnist"', 'name = "fashion_mnist"\nvalidation = 0', "validation = 0"),
    ],
)
def test_slips_are_named(tmp_path, old, new, said):
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(UsageError, match=said) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(UsageError, match="no such recipe"):
        read_recipe(tmp_path / "nothing.toml")
