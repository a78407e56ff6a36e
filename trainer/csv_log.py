"""A log of training as comma-separated values, which spreadsheets, pandas and TensorBoard importers read."""

import csv
import time
from pathlib import Path

from lamella.errors import PlatformError

COLUMNS = ("time", "phase", "epoch", "loss", "learning_rate", "bytes", "accuracy")


class CsvLog:
    """Appends a line for every dict it is called with; `time` is seconds since 1970. new: an old file goes."""

    def __init__(self, path: Path, new: bool):
        self._path = path
        if new or not path.is_file():
            self._write([COLUMNS], "w")

    def __call__(self, facts: dict[str, object]) -> None:
        values = {"time": f"{time.time():.1f}", **facts}
        self._write([[_text(values.get(column, "")) for column in COLUMNS]], "a")

    def _write(self, rows: list, mode: str) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open(mode, newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(rows)
        except OSError as error:
            raise PlatformError(
                f"{self._path}: cannot be written ({error.strerror}); choose another folder or free some space"
            ) from None


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
