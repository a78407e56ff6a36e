"""Shoulder exercises seen by a smart watch: accelerometer and gyroscope at 50 Hz, 7 exercises, 10 subjects (seglearn).

D. Burns et al., Shoulder physiotherapy exercise recognition, Physiological Measurement 39(7), 2018. Split by subject.
"""

import io
from pathlib import Path

import numpy as np

from lamella.errors import UsageError
from lamella.trainer.data.files import FileSet, content, find
from lamella.trainer.data.splits import Splits

FILE = "watch_imu.npz"
WATCH = FileSet(
    name="watch",
    sha256={FILE: "5fd2ffd9bedef7524a43defe03692608cab8079283b01d80ef597cc56e096f68"},
    remedy=f"make {FILE} from the watch data of the package seglearn and give its folder with --data or $LAMELLA_DATA",
)
TEST_SUBJECTS = (9, 10)
WINDOW, STRIDE = 128, 64  # samples: 2.56 s, half of it shared with the next window
#: Normalised samples beyond this are cut: 8 bits hold the rest better.
LARGEST = 5.0


def load(folder: Path | None) -> Splits:
    """Windows (6, WINDOW), each sensor axis with mean 0 and deviation 1 over the training part, and the exercises.

    The validation part is taken from the training subjects' windows: it tells less than new subjects would.
    """
    raw = content(find(WATCH, folder), FILE, WATCH)
    with np.load(io.BytesIO(raw), allow_pickle=False) as archive:
        signal, lengths, label, subject = (archive[key] for key in ("X", "length", "y", "subject"))
    if int(lengths.sum()) != len(signal):
        raise UsageError(f"{FILE}: lengths of recordings and samples do not match; {WATCH.remedy}")
    test = np.isin(subject, TEST_SUBJECTS)
    of_sample = np.repeat(test, lengths)
    mean, deviation = signal[~of_sample].mean(0), signal[~of_sample].std(0)
    signal = ((signal - mean) / deviation).clip(-LARGEST, LARGEST).astype(np.float32)
    recordings = np.split(signal, np.cumsum(lengths)[:-1])
    parts = [windows(recording) for recording in recordings]
    x = np.concatenate(parts)
    counts = [len(part) for part in parts]
    y, held_out = np.repeat(label, counts).astype(np.int64), np.repeat(test, counts)
    return Splits(x[~held_out], y[~held_out], x[held_out], y[held_out])


def windows(recording: np.ndarray) -> np.ndarray:
    """Windows (n, axes, WINDOW) of a recording (samples, axes); what is left at its end is dropped."""
    if len(recording) < WINDOW:
        return np.zeros((0, recording.shape[1], WINDOW), recording.dtype)
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(recording, WINDOW, axis=0)[::STRIDE])
