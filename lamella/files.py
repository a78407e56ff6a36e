"""Files are written aside and renamed: whoever looks finds the old one or the new one, whole."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from lamella.errors import UsageError


def replace(path: str | Path, write: Callable[[BinaryIO], object], option: str = "") -> None:
    """A file that `write` fills. option: of the command line, for the message of the UsageError where it cannot be written."""
    path = Path(path)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            write(file)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"{option} {path}: cannot be written ({error.strerror})".strip()) from None
