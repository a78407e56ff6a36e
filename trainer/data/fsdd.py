"""Free Spoken Digit Dataset: 3,000 recordings of ten digits by six speakers, 8 kHz, as cepstral coefficients.

Files are called {digit}_{speaker}_{index}.wav; indices 0 to 4 are the test, as its authors say.
"""

import hashlib
import io
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np

from lamella.errors import PlatformError, UsageError
from lamella.trainer import mfcc
from lamella.trainer.data.files import FileSet, content, find
from lamella.trainer.data.splits import Splits
from lamella.trainer.mfcc import Mfcc

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
RECORDINGS, TEST_RECORDINGS = 50, 5  # of each digit by each speaker
#: Of all files one behind the other, in the order of their names.
SHA256 = "ddb17656a0bca4c5ddace082be188ca630516dc2ef1110afe3c4e9cc71173de4"
NAMES = sorted(f"{d}_{s}_{i}.wav" for d in range(10) for s in SPEAKERS for i in range(RECORDINGS))
FSDD = FileSet(
    name="fsdd",
    sha256=dict.fromkeys(NAMES, ""),
    remedy="get the folder `recordings` of the Free Spoken Digit Dataset and give it with --data or $LAMELLA_DATA",
)
FOLDERS = ("fsdd", "fsdd/recordings", "recordings", "free-spoken-digit-dataset/recordings")

STEPS = 40  # 0.81 s: 98 of 100 recordings are shorter
#: mean and deviation: trainer/mfcc.py's `fitted` over the training part, cut as `cut` does.
FRONT_END = Mfcc(
    mean=(11.138, 2.844, 1.295, 0.294, -0.713, -0.397, -0.178, 0.004, -0.064, 0.085, 0.068, -0.027, -0.087),
    deviation=(13.842, 4.516, 2.733, 1.961, 1.728, 1.541, 1.054, 0.98, 0.764, 0.782, 0.701, 0.706, 0.586),
)


def load(folder: Path | None) -> Splits:
    """Coefficients (STEPS, 13), each with mean 0 and deviation 1 over the training part, and the digits."""
    recordings, y, test = read(folder)
    x = mfcc.inputs(FRONT_END, recordings)
    return Splits(x[~test], y[~test], x[test], y[test])


def read(folder: Path | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int16 samples (3000, n) of the recordings, cut to one length; their digits; which are of the test part."""
    place = _find(folder)
    digest = hashlib.sha256()
    recordings, y, test = [], [], []
    for name in NAMES:
        raw = content(place, name, FSDD)
        digest.update(raw)
        digit, _, index = name.removesuffix(".wav").split("_")
        recordings.append(cut(samples(raw, place / name)))
        y.append(int(digit))
        test.append(int(index) < TEST_RECORDINGS)
    if digest.hexdigest() != SHA256:
        raise UsageError(f"{place}: these are not the recordings expected (sha256 of all files); {FSDD.remedy}")
    return np.stack(recordings), np.array(y, np.int64), np.array(test)


def _find(folder: Path | None) -> Path:
    for name in FOLDERS[1:]:
        try:
            return find(replace(FSDD, name=name), folder)
        except PlatformError:
            continue
    return find(FSDD, folder)


def samples(raw: bytes, path: Path) -> np.ndarray:
    """int16 samples of a WAV file: one channel, 16 bits, 8 kHz."""
    try:
        with wave.open(io.BytesIO(raw)) as file:
            form = (file.getnchannels(), 8 * file.getsampwidth(), file.getframerate())
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise UsageError(f"{path}: is no WAV file ({error}); {FSDD.remedy}") from None
    if form != (1, 16, FRONT_END.rate):
        raise UsageError(f"{path}: {form[0]} channels, {form[1]} bits, {form[2]} Hz; 1, 16 and 8000 are expected")
    return np.frombuffer(frames, "<i2").astype(np.int16)


def cut(signal: np.ndarray) -> np.ndarray:
    """As many samples as STEPS look at: the middle of a long recording, silence in front of a short one, so that speech
    comes last."""
    length = FRONT_END.samples(STEPS)
    start = max(0, (len(signal) - length) // 2)
    signal = signal[start : start + length]
    return np.concatenate([np.zeros(length - len(signal), signal.dtype), signal])
