"""Spoken digits and motions of a watch: the loaders against their layouts, inputs against the bytes of the front end."""

import io
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lamella import requant
from lamella.errors import PlatformError, UsageError
from lamella.mfcc import SCALE, ZERO_POINT, integer
from lamella.trainer import mfcc
from lamella.trainer.data import fsdd, watch
from lamella.trainer.data.files import find
from lamella.trainer.fake_quantize import ActivationQuantizer, Affine
from lamella.trainer.graph import Clip
from lamella.trainer.mfcc import Mfcc


def wav(values: np.ndarray, channels: int = 1, rate: int = 8000) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(values.astype("<i2").tobytes())
    return buffer.getvalue()


def test_recordings_are_fitted_to_mean_0_and_deviation_1():
    rng = np.random.default_rng(0)
    samples = (rng.normal(0, 1, (6, 8000)) * np.geomspace(30, 3000, 8000)).astype(np.int16)
    front_end = mfcc.fitted(Mfcc(), samples)
    x = mfcc.inputs(front_end, samples)
    assert x.shape == (6, 49, 13) and x.dtype == np.float32
    np.testing.assert_allclose(x.mean((0, 1)), 0, atol=0.02)
    np.testing.assert_allclose(x.std((0, 1)), 1, atol=0.03)


def test_inputs_are_quantised_without_a_change():
    """What calibration finds on inputs that reach both ends gives back every byte of the front end."""
    samples = np.random.default_rng(1).normal(0, 2000, (20, 4000)).clip(-32768, 32767).astype(np.int16)
    front_end = replace(mfcc.fitted(Mfcc(), samples), deviation=(0.1,) * 13)  # so that both ends occur
    levels = integer.features(front_end, samples)
    assert levels.min() == 0 and levels.max() == 255
    x = torch.from_numpy(mfcc.inputs(front_end, samples))
    quantizer = ActivationQuantizer(Clip(), learned=False, widest=True)
    quantizer.mode = "observe"
    for batch in x.split(7):
        quantizer(batch)
    quantizer.settle_()
    assert quantizer.affine() == Affine(SCALE, ZERO_POINT)
    np.testing.assert_array_equal(requant.quantize_input(x.numpy(), SCALE, ZERO_POINT, np.uint8), levels)


def test_recordings_get_one_length_with_speech_at_the_end():
    loud = np.arange(1, 3001, dtype=np.int16)
    short, long = fsdd.cut(loud), fsdd.cut(np.tile(loud, 5))
    assert short.dtype == np.int16 and len(short) == len(long) == 6496
    np.testing.assert_array_equal(short, np.concatenate([np.zeros(3496), loud]))
    np.testing.assert_array_equal(long, np.tile(loud, 5)[4252 : 4252 + 6496])
    assert mfcc.inputs(fsdd.FRONT_END, long).shape == (fsdd.STEPS, 13)


def test_other_wav_files_are_refused_by_name():
    values = np.arange(100)
    np.testing.assert_array_equal(fsdd.samples(wav(values), Path("0_a_0.wav")), values)
    for raw, words in (
        (wav(values, channels=2), "0_a_0.wav: 2 channels"),
        (wav(values, rate=16000), "16000 Hz"),
        (b"RIFF", "no WAV"),
        (b"", "no WAV"),
    ):
        with pytest.raises(UsageError, match=words):
            fsdd.samples(raw, Path("0_a_0.wav"))


def test_recordings_with_other_content_are_refused(tmp_path):
    for name in fsdd.NAMES:
        (tmp_path / name).write_bytes(wav(np.zeros(10)))
    with pytest.raises(UsageError, match="not the recordings expected"):
        fsdd.load(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        fsdd.load(tmp_path / "nowhere")


def test_windows_share_half_and_drop_the_rest():
    recording = np.arange(300 * 6, dtype=np.float32).reshape(300, 6)
    found = watch.windows(recording)
    assert found.shape == (3, 6, 128)
    for k, window in enumerate(found):
        np.testing.assert_array_equal(window, recording[64 * k : 64 * k + 128].T)
    assert watch.windows(recording[:127]).shape == (0, 6, 128)


def present(data) -> bool:
    try:
        find(data, None)
    except PlatformError:
        return False
    return True


@pytest.mark.skipif(not present(fsdd.FSDD), reason="the spoken digits are not on this machine")
def test_spoken_digits_are_split_as_published():
    splits = fsdd.load(None)
    assert splits.train_x.shape == (2700, 40, 13) and splits.test_x.shape == (300, 40, 13)
    assert np.bincount(splits.test_y).tolist() == [30] * 10
    assert abs(splits.train_x.mean()) < 0.01 and abs(splits.train_x.std() - 1) < 0.02
    for start in range(0, 2500, 500):  # whatever batches calibration takes, both ends occur: inputs stay the bytes in C
        part = splits.train_x[start : start + 500]
        assert (part == -4).sum() > 20 and (part == 127 / 32).sum() > 20


@pytest.mark.skipif(not present(fsdd.FSDD), reason="the spoken digits are not on this machine")
def test_the_front_end_is_fitted_to_the_training_part():
    recordings, _, test = fsdd.read(None)
    assert mfcc.fitted(fsdd.FRONT_END, recordings[~test]) == fsdd.FRONT_END


@pytest.mark.skipif(not present(watch.WATCH), reason="the watch data are not on this machine")
def test_watch_windows_are_split_by_subject():
    splits = watch.load(None)
    assert splits.train_x.shape[1:] == splits.test_x.shape[1:] == (6, 128)
    assert len(splits.train_y) == len(splits.train_x) == 2832 and len(splits.test_x) == 773
    assert set(splits.test_y) == set(range(7))
