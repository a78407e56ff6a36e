"""The search for options: its space, its trials, and sharing them."""

import json

import pytest

from lamella import cli
from lamella.trainer import search

from .test_session import RECIPE, fails, recipe_in, toy_modules  # noqa: F401

SPACE = """
[search]
sparsity = { low = 0.3, high = 0.9 }
layer_epochs = { low = 0, high = 1 }
order = ["sparsity", "weights"]
ladder = [["sparse"], ["sparse", "int4"]]
"""
SHORT = RECIPE.replace("epochs = 3", "epochs = 2").replace("final_epochs = 1", "final_epochs = 0")


def test_trials_are_added_up_and_the_best_named(tmp_path, capsys):
    out = tmp_path / "out"
    command = ["search", str(recipe_in(tmp_path, SHORT + SPACE)), "--out", str(out), "--trials", "2"]
    assert cli.main(command) == 0
    assert "trial 1:" in capsys.readouterr().out
    assert cli.main([*command, "--quiet"]) == 0
    report = json.loads((out / "search.json").read_text())
    assert [trial["number"] for trial in report["trials"]] == [0, 1, 2, 3]
    for trial in report["trials"]:
        assert set(trial["options"]) == {"sparsity", "layer_epochs", "order", "ladder"}
        assert 0.3 <= trial["options"]["sparsity"] <= 0.9
        assert (out / "trials" / str(trial["number"]) / "model.onnx").is_file()
        beaten = any(
            o["drop"] <= trial["drop"] and o["bytes"] <= trial["bytes"]
            and (o["drop"], o["bytes"]) != (trial["drop"], trial["bytes"]) for o in report["trials"]
        )  # fmt: skip
        assert (trial["number"] in report["best"]) == (not beaten)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "[search] is missing"),
        ("[search]\nsparsty = [0.5]\n", "sparsity"),
        ("[search]\nsparsity = 0.5\n", "list of values"),
        ("[search]\nsparsity = { low = 0.5 }\n", "list of values"),
        ('[search]\nsparsity = { low = "a", high = 2 }\n', "numbers"),
        ("[search]\nsparsity = [0.5, 1.5]\n", "sparsity = 1.5"),
        ("[search]\nsparsity = { low = 0.5, high = 1.0 }\n", "sparsity = 1.0"),
        ('[search]\norder = ["sparsity", "sparcity"]\n', "sparcity"),
        ('[search]\nlayer_epochs = ["two"]\n', "layer_epochs"),
        ('[search]\nladder = [["sparse"], ["spares"]]\n', "spares"),
        ("[search]\nprune_steps = [1, 60]\nprune_epochs = [1, 2]\n", "prune_steps = 60"),
        ('[search]\nfinal_data = ["train", "train+validation"]\n', "final_data"),
    ],
)
def test_a_wrong_space_is_refused(tmp_path, capsys, table, said):
    fails(["search", str(recipe_in(tmp_path, SHORT + table))], 2, said, capsys)


def test_values_that_do_not_go_together_lose_one_trial_only(tmp_path, capsys):
    table = "[search]\nprune_epochs = [0, 2]\nprune_steps = [1, 2]\n"
    out = tmp_path / "out"
    command = ["search", str(recipe_in(tmp_path, SHORT + table)), "--out", str(out), "--trials", "8", "--seed", "1"]
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    report = json.loads((out / "search.json").read_text())
    tried = [(trial["options"]["prune_epochs"], trial["options"]["prune_steps"]) for trial in report["trials"]]
    assert (0, 2) not in tried
    assert len(tried) == 8 - said.count("do not go together")
    assert said.count("do not go together") >= 1


def test_without_optuna_it_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(search, "optuna", None)
    fails(
        ["search", str(recipe_in(tmp_path, SHORT + SPACE)), "--out", str(tmp_path / "o")], 4, "lamella[search]", capsys
    )
