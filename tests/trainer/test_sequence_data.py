"""Spoken digits and motions of a watch: the front end against its definition, the loaders against their layouts."""

import io
import wave
from pathlib import Path

import numpy as np
import pytest
import scipy.fft

from lamella.errors import PlatformError, UsageError
from lamella.trainer.data import fsdd, watch
from lamella.trainer.data.files import find
from lamella.trainer.mfcc import Mfcc


def wav(values: np.ndarray, channels: int = 1, rate: int = 8000) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(values.astype("<i2").tobytes())
    return buffer.getvalue()


def test_coefficients_follow_the_definition():
    """Written out: one frame, filter by filter, and scipy's orthonormal cosine transform."""
    front_end = Mfcc()
    signal = np.random.default_rng(0).normal(0, 0.1, front_end.samples(3)).astype(np.float32)
    got = front_end(signal)
    assert got.shape == (3, 13)
    frame = signal[160 : 160 + 256].astype(float) * np.hanning(257)[:256]
    power = [abs(sum(frame * np.exp(-2j * np.pi * k * np.arange(256) / 256))) ** 2 / 256 for k in range(129)]
    energies = front_end.mel() @ np.array(power)
    expected = scipy.fft.dct(np.log(energies + 1e-6), norm="ortho")[:13]
    np.testing.assert_allclose(got[1], expected, rtol=1e-4, atol=1e-4)


def test_a_tone_is_heard_by_the_filter_of_its_pitch():
    front_end = Mfcc()
    mel = front_end.mel()
    assert mel.shape == (24, 129) and mel.min() >= 0 and mel.max() <= 1
    assert (np.diff(mel.argmax(axis=1)) > 0).all()
    assert np.allclose(mel.sum(axis=0)[10:110], 1.0, atol=0.02)  # neighbouring triangles complete each other
    np.testing.assert_allclose(front_end.dct() @ front_end.dct().T, np.eye(13), atol=1e-12)


def test_recordings_get_one_length_with_speech_at_the_end():
    loud = np.sin(np.arange(3000) * 0.3).astype(np.float32)
    short, long = fsdd.features(loud), fsdd.features(np.tile(loud, 5))
    assert short.shape == long.shape == (fsdd.STEPS, 13)
    assert short[:10, 0].std() < 1e-6  # silence in front
    assert short[-5:, 0].mean() > short[0, 0] + 5
    assert long[0, 0] > short[0, 0] + 5


def test_other_wav_files_are_refused_by_name():
    values = np.arange(100)
    np.testing.assert_allclose(fsdd.samples(wav(values), Path("0_a_0.wav")), values / 32768)
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
    assert np.abs(splits.train_x).max() <= fsdd.LARGEST and abs(splits.train_x.mean()) < 0.05


@pytest.mark.skipif(not present(watch.WATCH), reason="the watch data are not on this machine")
def test_watch_windows_are_split_by_subject():
    splits = watch.load(None)
    assert splits.train_x.shape[1:] == splits.test_x.shape[1:] == (6, 128)
    assert len(splits.train_y) == len(splits.train_x) == 2832 and len(splits.test_x) == 773
    assert set(splits.test_y) == set(range(7))
