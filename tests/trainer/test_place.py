"""Several processes, devices and precisions."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from lamella.errors import PlatformError, UsageError
from lamella.trainer.fit import Descent, fit
from lamella.trainer.place import Place, here

from .conftest import SmallNet
from .test_session import BOOT, RECIPE, recipe_in

SHORT = RECIPE.replace("toy:network", "toy:plain_network").replace("max_drop = 50.0", "max_drop = 90.0")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(folder, processes: int):
    """Trains the toy in so many processes, as torchrun starts them; returns the folder of results."""
    out = folder / f"out{processes}"
    args = ["train", str(recipe_in(folder, SHORT)), "--out", str(out)]
    code = f"{BOOT}\nfrom lamella import cli\nraise SystemExit(cli.main({args!r}))"
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    said = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0] * processes
    assert "float:" in said[0] and not any(said[1:])
    return out


def weights(path) -> dict[str, np.ndarray]:
    graph = onnx.load(path).graph
    return {t.name: numpy_helper.to_array(t) for t in graph.initializer if t.name.endswith("weight_levels")}


def test_two_processes_end_as_one_does(tmp_path):
    alone, together = run(tmp_path, 1), run(tmp_path, 2)
    one, two = (json.loads((out / "metrics.json").read_text()) for out in (alone, together))
    assert abs(one["accuracy"] - two["accuracy"]) <= 0.03
    ours, theirs = torch.load(alone / "float.pt"), torch.load(together / "float.pt")
    for name in ours:  # only the order of additions differs, and what 60 steps make of it
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-3, atol=1e-4)
    a, b = weights(alone / "model.onnx"), weights(together / "model.onnx")
    assert a.keys() == b.keys() and len(a) > 0
    for name in a:
        assert (a[name] == b[name]).mean() > 0.9


def test_shares_make_up_the_batch_and_its_mean():
    x, y = torch.arange(10.0)[:, None], torch.arange(10)
    for processes in (1, 2, 3, 12):
        parts = [Place(rank=r, processes=processes).share(x, y) for r in range(processes)]
        counted = torch.cat([labels for _, labels, weight in parts if weight])
        assert sorted(counted.tolist()) == y.tolist()
        mean = sum(part.mean() * weight for part, _, weight in parts) / processes
        assert float(mean) == pytest.approx(float(x.mean()))


def test_bfloat16_trains_close_to_float32(data):
    losses = {}
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        model = SmallNet()
        losses[precision] = fit(model, data[0], Descent(2, 0.05), what="t", seed=0, place=Place(precision=precision))
        assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.2)
    assert losses["bfloat16"] != losses["float32"]


def test_places_that_are_not_there_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(PlatformError, match="CUDA"):
        here("cuda", "float32")
    with pytest.raises(UsageError, match="tpu"):
        here("tpu", "float32")
    with pytest.raises(UsageError, match="float8"):
        here("cpu", "float8")
    assert here("auto", "bfloat16") == Place("cpu", "bfloat16")
