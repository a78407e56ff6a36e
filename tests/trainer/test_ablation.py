"""What each option is worth: variants, their results, and going on after an interruption."""

import json
from dataclasses import replace
from itertools import combinations

import pytest
import torch

from lamella import cli
from lamella.errors import UsageError
from lamella.trainer import ablation, integer, session
from lamella.trainer.options import CHOICES, CompressOptions
from lamella.trainer.recipe import read_recipe

from .test_session import RECIPE, fails, recipe_in, toy_modules  # noqa: F401

SHORT = RECIPE.replace("epochs = 3", "epochs = 2").replace("final_epochs = 1", "final_epochs = 0")


def test_every_choice_is_a_variant():
    found = ablation.variants(CompressOptions())
    for name, values in CHOICES.items():
        assert sum(v.partition("=")[0] == name for v in found) == len(values) - 1
    assert all(a != b for a, b in combinations(found.values(), 2))
    assert all(getattr(o, n.partition("=")[0]) != getattr(found["recipe"], n.partition("=")[0])
               for n, o in found.items() if n != "recipe")  # fmt: skip


def test_results_are_kept_and_not_made_again(tmp_path, capsys):
    recipe, out = recipe_in(tmp_path, SHORT), tmp_path / "out"
    common = ["ablate", str(recipe), "--out", str(out)]
    assert cli.main([*common, "--only", "sigma", "--json", str(tmp_path / "a.json")]) == 0
    said = capsys.readouterr().out
    first = json.loads((out / "ablation.json").read_text())
    assert list(first["variants"]) == ["recipe", "sigma=closed"]
    assert "sigma=closed" in said and json.loads((tmp_path / "a.json").read_text()) == first
    assert 0 < first["variants"]["recipe"]["accuracy"] <= 1
    first["variants"]["recipe"]["bytes"] += 1000  # as a mark: it is not run again
    (out / "ablation.json").write_text(json.dumps(first))
    assert cli.main([*common, "--only", "sigma", "--only", "distill=0.5", "--resume", "--quiet"]) == 0
    second = json.loads((out / "ablation.json").read_text())
    assert list(second["variants"]) == ["recipe", "sigma=closed", "distill=0.5"]
    assert second["variants"]["recipe"] == first["variants"]["recipe"]
    fails([*common, "--resume", "--seed", "5", "--only", "sigma"], 2, "seed", capsys)
    (out / "ablation.json").write_text("{}")
    fails([*common, "--resume", "--only", "sigma"], 2, "ablation.json", capsys)


@pytest.mark.parametrize("wrong", ["sigam", "sigma=open"])
def test_an_unknown_variant_is_refused(tmp_path, capsys, wrong):
    fails(["ablate", str(recipe_in(tmp_path, SHORT)), "--only", wrong], 2, wrong, capsys)


def test_variants_are_judged_on_samples_that_none_has_seen(tmp_path, monkeypatch):
    """Also that which trains on the validation split, whose last epochs would not show in the accuracy before them."""
    recipe, seen, real = read_recipe(recipe_in(tmp_path, SHORT)), [], ablation.compress

    def noting(model, training, validation, **options):
        result = real(model, training, validation, **options)
        seen.append((validation, result))
        return result

    monkeypatch.setattr(ablation, "compress", noting)
    only = ["final_epochs=2", "final_data=train+validation"]
    report = ablation.run(recipe, tmp_path / "o", only=only)["variants"]
    whole = session.prepare(recipe, None)[2]
    deciding, judging = ablation.halves(whole)
    parts = torch.cat([deciding.x, judging.x]).flatten(1).tolist()
    assert sorted(parts) == sorted(whole.x.flatten(1).tolist()) and len(report) == len(seen) == 3
    for facts, (validation, result) in zip(report.values(), seen, strict=True):
        assert torch.equal(validation.x, deciding.x)
        assert facts["accuracy"] == integer.accuracy(result.frozen, judging)
    asked = {name: result.options for name, (_, result) in zip(report, seen, strict=True)}
    assert asked["final_data=train+validation"] == replace(asked["final_epochs=2"], final_data="train+validation")
    with pytest.raises(UsageError, match="validation = 1"):
        ablation.halves(replace(whole, x=whole.x[:1], y=whole.y[:1]))
