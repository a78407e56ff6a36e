"""From C sources to a program for a board, objects and programs cached by content."""

import errno
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lamella import boards
from lamella.boards import Board
from lamella.errors import CheckFailed, PlatformError, UsageError

SANITIZE = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

# What the cache may hold before the oldest entries go, and the age under which none goes.
CACHE_BYTES = 1 << 30
CACHE_KEEP_SECONDS = 24 * 3600


class ImageOverflow(CheckFailed):
    """The image does not fit; `bytes_over` says by how many bytes, for each region (flash, ram)."""

    def __init__(self, message: str, bytes_over: dict[str, int]):
        super().__init__(message)
        self.bytes_over = bytes_over


class CompileError(RuntimeError):
    """The compiler refused our own code: a fault of Lamella, with the compiler's words."""


@dataclass(frozen=True)
class _Unit:
    """One C file to compile."""

    name: str
    text: bytes
    flags: tuple[str, ...]
    include_dirs: tuple[Path, ...]
    headers: str  # hash of all it may include


def build(
    board: Board,
    sources: Mapping[str, str | bytes],
    *,
    include_dirs: Sequence[Path] = (),
    files: Sequence[Path] = (),
    optimize: str = "balanced",
    defines: Sequence[str] = (),
    enlarged: bool = False,
    with_harness: bool = False,
    with_port: bool = False,
    sanitize: bool = False,
    cache_dir: Path | None = None,
) -> Path:
    """The program made of `sources` (name -> text; .h files are included by the others) and `files`, an ELF in the cache.

    Alone it is the smallest image: start-up and sources, main among them. `with_port` adds the board's port,
    `with_harness` that and the harness with its main (boards/support/harness). `files` see `include_dirs` only, so that
    their objects serve every model. `enlarged` links with room for any image; `sanitize` is for the host.
    """
    flags = boards.product_flags(board, optimize)
    if sanitize and board.ram is not None:
        raise UsageError(f"board {board.name}: sanitizers run on the host only; use --board host")
    compiler = _find(board.compiler.cc, board.compiler.package)
    cache = (cache_dir or cache_folder()).absolute()
    compile_flags = (*flags.compile, "-Werror", *(f"-D{name}" for name in defines), *(SANITIZE if sanitize else ()))

    support = _support_files(board, with_harness=with_harness, with_port=with_port)
    support_dirs = tuple(dict.fromkeys(path.parent for path in (*support, boards.SUPPORT / "lam_port.h")))
    support_dirs += (boards.SUPPORT / "harness",)
    public_dirs = (*include_dirs, *support_dirs)
    public_headers = _hash_headers(public_dirs)
    texts = {name: text.encode() if isinstance(text, str) else text for name, text in sources.items()}
    own_headers = {name: text for name, text in texts.items() if name.endswith(".h")}
    own_hash = _hash(public_headers, *(part for name in sorted(own_headers) for part in (name, own_headers[name])))

    with disk_errors(cache), tempfile.TemporaryDirectory(prefix="lamella-build-") as folder:
        work = Path(folder)
        for name, text in own_headers.items():
            (work / name).write_bytes(text)
        units = [
            _Unit(name, text, compile_flags, (work, *public_dirs), own_hash)
            for name, text in texts.items()
            if not name.endswith(".h")
        ]
        units += [
            _Unit(path.name, path.read_bytes(), compile_flags, public_dirs, public_headers)
            for path in (*files, *support)
        ]
        (cache / "objects").mkdir(parents=True, exist_ok=True)
        (cache / "programs").mkdir(parents=True, exist_ok=True)
        identity = _identity(compiler)
        with ThreadPoolExecutor(2) as pool:
            objects = list(pool.map(lambda unit: _compile(compiler, identity, unit, work, cache), units))
        program = _link(board, compiler, identity, objects, flags, work, cache, enlarged=enlarged, sanitize=sanitize)
        _clean(cache)
    return program


def cache_folder() -> Path:
    """Where compiled things are kept: $LAMELLA_CACHE, else lamella under $XDG_CACHE_HOME or ~/.cache. May be deleted."""
    named = os.environ.get("LAMELLA_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lamella"


def cached(path: Path, make: Callable[[Path], None]) -> Path:
    """`path`, made by `make(other path)` unless it is there; whole at every moment, whoever else makes it."""
    try:
        os.utime(path)  # the cache forgets what was not used for long
        return path
    except FileNotFoundError:
        pass
    except PermissionError:
        return path  # a cache that somebody else filled and we may only read
    aside = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        make(aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def _support_files(board: Board, *, with_harness: bool, with_port: bool) -> list[Path]:
    found = [board.core.startup]
    if with_harness or with_port:
        found += [board.core.clock, board.port]
    if with_harness:
        if board.files is None:
            raise UsageError(f"board {board.name}: nothing here can run it; choose a board with an emulator")
        found += [board.files, board.core.stack, boards.SUPPORT / "harness" / "run.c"]
    return [path for path in found if path]


def _compile(compiler: str, identity: str, unit: _Unit, work: Path, cache: Path) -> Path:
    # Not by its name: the object does not say it, and so one model's object serves under another name.
    key = _hash(identity, *unit.flags, unit.headers, unit.text)

    def make(target: Path) -> None:
        folder = Path(tempfile.mkdtemp(dir=work))
        source = folder / unit.name
        source.write_bytes(unit.text)
        command = [
            compiler,
            *unit.flags,
            *(f"-I{Path(path).absolute()}" for path in unit.include_dirs),
            "-c",
            unit.name,
            "-o",
            str(target),
        ]
        # A fixed locale, for messages that can be searched.
        done = subprocess.run(
            command, check=False, cwd=folder, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
        )
        if done.returncode != 0:
            if "No space left" in done.stderr:
                raise PlatformError(f"no space left in {cache} or {work.parent}: {done.stderr.strip()}")
            raise CompileError(f"{unit.name} does not compile:\n{done.stderr}")

    return cached(cache / "objects" / f"{key}.o", make)


def _link(
    board: Board,
    compiler: str,
    identity: str,
    objects: Sequence[Path],
    flags: boards.Flags,
    work: Path,
    cache: Path,
    *,
    enlarged: bool,
    sanitize: bool,
) -> Path:
    script = boards.linker_script(board, enlarged=enlarged) if flags.linker_script else ""
    options = (*flags.link, *(SANITIZE if sanitize else ()))
    key = _hash(identity, *options, script, *(path.name for path in objects))

    def make(target: Path) -> None:
        arguments = [compiler, *map(str, objects), *options, "-o", str(target)]
        if script:
            (work / "link.ld").write_text(script, encoding="utf-8")
            arguments += ["-T", str(work / "link.ld")]
        done = subprocess.run(arguments, check=False, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
        if done.returncode != 0:
            _raise_link_error(board, done.stderr)

    return cached(cache / "programs" / f"{key}.elf", make)


def _raise_link_error(board: Board, words: str) -> None:
    over: dict[str, int] = {}
    for region, size in re.findall(r"region `(\w+)' overflowed by (\d+) bytes", words):
        over[region.lower()] = max(over.get(region.lower(), 0), int(size))
    if over:
        parts = [f"{size} bytes too many for the {name}" for name, size in over.items()]
        memory = ", ".join(f"{getattr(board, name).size} bytes of {name}" for name in over)
        remedy = "use --optimize flash or ram, a smaller model or a larger board"
        raise ImageOverflow(f"board {board.name}: {' and '.join(parts)} (it has {memory}); {remedy}", over)
    if "No space left" in words:
        raise PlatformError(f"no space left to link: {words.strip()}")
    raise CompileError(f"the program for {board.name} does not link:\n{words}")


def _find(command: str, package: str) -> str:
    """The full path of a compiler."""
    path = shutil.which(command)
    if path is None:
        raise PlatformError(f"{command} is not installed; install it with: apt-get install {package}")
    return path


def _identity(compiler: str) -> str:
    """Changes when another compiler is installed; cheaper than asking it for its version."""
    real = os.path.realpath(compiler)
    facts = os.stat(real)
    return f"{real} {facts.st_size} {facts.st_mtime_ns}"


def _hash(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()[:40]


def _hash_headers(folders: Sequence[Path]) -> str:
    """Hash of every header a file could include from these folders, by name and content."""
    parts: list[str | bytes] = []
    for folder in folders:
        for path in sorted(folder.glob("*.h")):
            parts += [path.name, path.read_bytes()]
    return _hash(*parts)


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turns a full disk or a forbidden folder into an error that says so."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.ENOTDIR):
            raise
        where = error.filename or folder
        remedy = "make room, or set LAMELLA_CACHE and TMPDIR to other folders"
        raise PlatformError(f"cannot write {where}: {error.strerror}; {remedy}") from error


def _clean(cache: Path) -> None:
    """Once a day: deletes what was not used for longest, until the cache is small enough."""
    stamp = cache / "cleaned"
    now = time.time()
    try:
        if now - stamp.stat().st_mtime < CACHE_KEEP_SECONDS:
            return
    except FileNotFoundError:
        pass
    stamp.touch()
    entries = []
    for path in cache.glob("*/*"):
        try:
            facts = path.stat()
        except FileNotFoundError:
            continue
        entries.append((facts.st_mtime, facts.st_size, path))
    total = sum(size for _, size, _ in entries)
    for used, size, path in sorted(entries):
        if total <= CACHE_BYTES or now - used < CACHE_KEEP_SECONDS:
            return
        path.unlink(missing_ok=True)
        total -= size
