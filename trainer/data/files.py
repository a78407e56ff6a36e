"""Files of a data set: where they may lie on this machine, and whether they are the right ones."""

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from lamella.errors import PlatformError, UsageError


@dataclass(frozen=True)
class FileSet:
    """A data set's files with the sha256 of their uncompressed content, where they may lie, and how to get them.

    name: also that of the set's folder. sha256: an empty one is not compared.
    """

    name: str
    sha256: dict[str, str]
    remedy: str
    folders: tuple[Path, ...] = ()


def find(data: FileSet, folder: Path | None) -> Path:
    """The first folder that holds all files: --data, $LAMELLA_DATA, the cache, then where the system keeps them."""
    if folder is not None and not folder.is_dir():
        raise UsageError(f"--data {folder}: there is no such folder")
    bases = [folder] if folder is not None else []
    if os.environ.get("LAMELLA_DATA"):
        bases.append(Path(os.environ["LAMELLA_DATA"]))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    bases.append(cache / "lamella" / "data")
    places = [place for base in bases for place in (base / data.name, base)] + list(data.folders)
    for place in places:
        if all(_path(place, name) is not None for name in data.sha256):
            return place
    raise PlatformError(
        f"{data.name}: the data set is not on this machine (looked in {', '.join(str(p) for p in bases + list(data.folders))}); "
        f"{data.remedy}"
    )


def _path(place: Path, name: str) -> Path | None:
    return next((path for path in (place / f"{name}.gz", place / name) if path.is_file()), None)


def content(place: Path, name: str, data: FileSet) -> bytes:
    """The uncompressed bytes of a file of the set; UsageError where they are others than expected."""
    path = _path(place, name)
    try:
        raw = path.read_bytes()
        found = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path}: cannot be read ({error}); {data.remedy}") from None
    sha256 = hashlib.sha256(found).hexdigest()
    if data.sha256[name] not in ("", sha256):
        raise UsageError(
            f"{path}: is not the {data.name} file (sha256 of the content {sha256[:16]}..., expected {data.sha256[name][:16]}...); {data.remedy}"
        )
    return found
