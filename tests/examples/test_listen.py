"""From sound to scores in one program (examples/gru_fsdd/listen.c), against the trained module's integer mode."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from lamella import boards, build, execute, features, pipeline, programs, runtime_c
from lamella.mfcc import SCALE, ZERO_POINT
from lamella.trainer import export_onnx, integer, mfcc
from lamella.trainer.data.fsdd import FRONT_END, STEPS
from lamella.trainer.frozen import freeze
from lamella.trainer.network import QuantNetwork
from lamella.trainer.networks.gru_fsdd import GruDigits
from lamella.trainer.rules.int8 import Int8
from lamella.trainer.trace import trace

EXAMPLE = Path(__file__).parents[2] / "examples" / "gru_fsdd"
HOPS = STEPS + 8

HARNESS = """
#include "listen.h"
#include "lam_harness.h"
__attribute__((aligned(8))) uint8_t lam_harness_arena[LISTEN_HOP * 2u + LISTEN_SCORES];
const lam_harness_io lam_harness_inputs[] = {{0, LISTEN_HOP * 2u}};
const lam_harness_io lam_harness_outputs[] = {{LISTEN_HOP * 2u, LISTEN_SCORES}};
const uint32_t lam_harness_n_inputs = 1, lam_harness_n_outputs = 1;
int lam_harness_invoke(void)
{
    const int status = listen((const int16_t *)(const void *)lam_harness_arena, lam_harness_arena + LISTEN_HOP * 2u);
    return status == LISTEN_NOT_YET ? 0 : status;
}
"""


def sound() -> np.ndarray:
    """int16 (HOPS * hop,): tones that come and go over soft noise, from silence to full scale."""
    n = np.arange(HOPS * FRONT_END.hop)
    swell = np.abs(np.sin(n / 900)) ** 3 * 32767
    tones = np.sin(n * (0.2 + 0.1 * np.sin(n / 2500)))
    return np.rint(swell * tones + np.random.default_rng(0).normal(0, 20, len(n))).clip(-32768, 32767).astype(np.int16)


@pytest.fixture(scope="module")
def frozen():
    """A small GRU with random weights whose input has the range of the features, as calibration finds it on recordings."""
    torch.manual_seed(0)
    model = GruDigits(units=8).eval()
    ends = np.concatenate([features.stream(FRONT_END, sound())[:STEPS], [[0] * 13, [255] * 13]])[-STEPS:]
    x = torch.from_numpy((SCALE * (ends.astype(np.float32) - ZERO_POINT))[None])
    network = QuantNetwork(trace(model, x), model, learned_ranges=False).eval()
    for layer in network.layers.values():
        layer.set_rule_(Int8())
    network.calibrate_([x])
    return freeze(network, "gru_fsdd")


@pytest.mark.parametrize("name", ["host", "qemu_microbit", "qemu_mps2_an386"])
def test_sound_becomes_the_scores_of_training(name, frozen, tmp_path):
    board = boards.load(name)
    for tool in (board.compiler.cc, board.runner.command[0].format(elf="gcc")):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    export_onnx.save(frozen, tmp_path / "model.onnx")
    compiled = pipeline.compile_model(tmp_path / "model.onnx", name, "balanced", "gru_fsdd")
    assert compiled.graph.inputs[0].raw_dtype == "uint8"
    texts = {path.name: path.read_text() for path in (EXAMPLE / "listen.c", EXAMPLE / "listen.h")}
    program = build.build(
        board,
        {**compiled.sources(), **features.sources(FRONT_END, "fsdd_features"), **texts, "harness_listen.c": HARNESS},
        include_dirs=[runtime_c.INCLUDE],
        files=[*programs.kernel_files(compiled), features.SOURCE],
        with_harness=True,
    )
    samples = sound()
    done = execute.execute(board, program, samples.astype("<i2").tobytes(), run_symbol="listen", count=False)
    scores = np.frombuffer(done.outputs, np.uint8).reshape(HOPS, 10)
    assert not scores[: STEPS - 1].any()
    # As the trainer sees them: the silence before the first call, then windows of STEPS steps.
    padded = np.concatenate([np.zeros(FRONT_END.frame - FRONT_END.hop, np.int16), samples])
    x = mfcc.inputs(FRONT_END, padded)
    windows = np.stack([x[k : k + STEPS] for k in range(HOPS - STEPS + 1)])
    expected = integer.outputs(frozen, torch.from_numpy(windows)).numpy()
    assert len(np.unique(expected, axis=0)) > 3
    np.testing.assert_array_equal(scores[STEPS - 1 :], expected)
