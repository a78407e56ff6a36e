"""Runs a program with the harness (boards/support/harness) on its board: outputs, stack, instruction counts."""

import os
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lamella import elf as elf_file
from lamella import qemu_count
from lamella.boards import Board
from lamella.build import cache_folder, disk_errors
from lamella.errors import CheckFailed, PlatformError, UsageError

TRACE_SAMPLE = 0xFFFFFFFF
NANOSECONDS = 1_000_000_000

# Samples that tell how deep the stack goes, where it takes a run of its own.
_STACK_SAMPLES = 3


class ExecutionFailed(CheckFailed):
    """The program crashed, hung, or said that something is wrong."""


class StackOverflow(ExecutionFailed):
    """The program fits, but what it puts on the stack does not."""


#: What boards/support/harness says then.
_STACK_MET_VARIABLES = "the stack ran into the variables"


class TraceRecord(NamedTuple):
    """What one layer computed for one sample."""

    layer: int
    data: bytes


@dataclass(frozen=True)
class Execution:
    """What came out of a run. Counts are means over the samples, from entry to return of the model's run function."""

    outputs: bytes  # for each sample all outputs, one after the other
    samples: int
    stack_bytes: int | None  # of lam_harness_invoke and below; None on the host
    instructions: float | None
    segments: tuple[float, ...] | None  # one per call that the run function makes; they add up to instructions
    functions: dict[str, float] | None  # instructions by function
    blocks: tuple[qemu_count.Block, ...]  # what the first call executed, if asked for
    trace: tuple[tuple[TraceRecord, ...], ...] | None  # per sample


def execute(
    board: Board,
    elf: Path,
    samples: bytes,
    *,
    run_symbol: str,
    count: bool = True,
    segments: bool = False,
    blocks: bool = False,
    trace: bool = False,
    timeout: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    cache_dir: Path | None = None,
) -> Execution:
    """Runs `elf`, built by lamella.build with its harness, over `samples` (each = all inputs one after the other).

    `count` counts where the board can, `segments` also by layer, `blocks` also which code the first sample executed.
    `trace` wants a program compiled with LAM_TRACE_FILE.
    `timeout` in seconds, default a minute and two seconds a sample; `progress(done, all)` is called now and then.
    LAMELLA_COUNT=icount counts by the clock of the emulated machine (within one tick of at most 63 instructions, in total
    only), which is also done where QEMU loads no plugin; LAMELLA_COUNT=plugin forbids that.
    """
    command = _command(board, elf)
    input_bytes, output_bytes = (_sample_bytes(elf, f"lam_harness_{way}puts") for way in ("in", "out"))
    if input_bytes == 0 or len(samples) % input_bytes != 0:
        raise ValueError(f"{len(samples)} bytes are not whole samples of {input_bytes} bytes")
    n = len(samples) // input_bytes
    seconds = 60.0 + 2.0 * n if timeout is None else timeout
    job = _Job(board, elf, command, n, output_bytes, time.monotonic() + seconds, seconds, progress)
    way = os.environ.get("LAMELLA_COUNT", "")
    if way not in ("", "plugin", "icount"):
        raise UsageError(f"LAMELLA_COUNT={way} is not known; use plugin or icount, or leave it unset")
    counts = ticks = None
    with disk_errors(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory(prefix="lamella-run-") as name:
        folder = Path(name)
        (folder / "lam_input.bin").write_bytes(samples)
        counter = board.runner.plugin if board.runner and count and n else None
        done = None
        if counter and way != "icount":
            plugin = qemu_count.Plugin(counter, command[0], (cache_dir or cache_folder()).absolute())
            functions = [symbol for symbol in elf_file.symbols(elf) if symbol.function]
            qemu_count.write_map(folder, functions, run_symbol)
            while plugin.path and done is None:
                done = job.run(folder, plugin.arguments(blocks, board.runner.trap_unaligned), may_refuse_plugin=True)
                if done is None:
                    plugin.refused()
            if done is not None:
                counts = qemu_count.read_result(folder, functions)
                if counts is None or counts.calls != n:
                    raise RuntimeError(f"{elf}: {run_symbol} ran {counts.calls if counts else 0} times, not {n}")
            elif way == "plugin":
                raise PlatformError(
                    f"cannot count by plugin: {command[0]} does not load it, or gcc cannot build it; "
                    "unset LAMELLA_COUNT to count by the clock"
                )
        if done is None and counter:
            done, ticks = _by_clock(job, folder, samples[: _STACK_SAMPLES * input_bytes])
        if done is None:
            done = job.run(folder, [])
        assert done is not None
        outputs = (folder / "lam_output.bin").read_bytes()
        traced = _read_trace(folder / "lam_trace.bin") if trace else None
    instructions = counts.instructions if counts else None
    if ticks is not None and board.runner:
        instructions = ticks * (NANOSECONDS / board.runner.clock_hz) / n
    return Execution(
        outputs=outputs,
        samples=done["samples"],
        stack_bytes=done["stack"] if board.ram and n else None,
        instructions=instructions,
        segments=counts.segments if counts and segments else None,
        functions=counts.functions if counts else None,
        blocks=counts.blocks if counts else (),
        trace=traced,
    )


@dataclass(frozen=True)
class _Job:
    """One program with all that its runs have in common."""

    board: Board
    elf: Path
    command: Sequence[str]
    samples: int
    output_bytes: int
    deadline: float
    seconds: float
    progress: Callable[[int, int], None] | None

    def run(self, folder: Path, extra: Sequence[str], *, may_refuse_plugin: bool = False) -> dict[str, int] | None:
        """What the harness says at the end; None if the emulator did not take its plugin."""
        for old in ("lam_status.txt", "lam_output.bin"):
            (folder / old).unlink(missing_ok=True)
        # Into a file, not a pipe: nobody has to empty it while the program runs.
        with (folder / "said.txt").open("w+b") as said:
            code = self._wait(folder, [*self.command, *extra], said)
        words = _said(folder / "said.txt")
        if code == 0 and (folder / "lam_status.txt").exists():
            lines = (line.split() for line in (folder / "lam_status.txt").read_text().splitlines())
            return {name: int(value, 16) for name, value in lines}
        # Before the first sample and with the plugin named: the program has not even begun.
        if may_refuse_plugin and "plugin" in words and not (folder / "lam_output.bin").exists():
            return None
        if _STACK_MET_VARIABLES in words:
            raise StackOverflow(
                f"board {self.board.name}: {_STACK_MET_VARIABLES}: its RAM is too small for the model in a program that "
                f"checks it; --optimize ram, --within ram=BYTES or a board with more of it help"
            )
        raise ExecutionFailed(f"board {self.board.name}: {_reason(code, words, self.elf)}")

    def _wait(self, folder: Path, command: Sequence[str], said: object) -> int | None:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
        output = folder / "lam_output.bin"
        try:
            while True:
                left = self.deadline - time.monotonic()
                if left <= 0:
                    words = _said(folder / "said.txt")
                    raise ExecutionFailed(
                        f"board {self.board.name}: not done after {self.seconds:g} seconds and stopped"
                        + (f"; it said:\n{words}" if words else "")
                    )
                try:
                    return process.wait(min(left, 0.1))
                except subprocess.TimeoutExpired:
                    if self.progress and output.exists():
                        self.progress(output.stat().st_size // max(self.output_bytes, 1), self.samples)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            elif self.progress and process.returncode == 0:
                self.progress(self.samples, self.samples)


def _by_clock(job: _Job, folder: Path, first_samples: bytes) -> tuple[dict[str, int], int]:
    """Runs twice: the timer's interrupt and the reading of the clock would show in the stack."""
    assert job.board.runner is not None
    (folder / "stack").mkdir()
    (folder / "stack" / "lam_input.bin").write_bytes(first_samples)
    painted = job.run(folder / "stack", [])
    (folder / "lam_clock").touch()
    timed = job.run(folder, job.board.runner.clock_arguments)
    assert painted is not None and timed is not None
    return {**timed, "stack": painted["stack"]}, timed["ticks"]


def _command(board: Board, elf: Path) -> list[str]:
    if board.runner is None:
        raise UsageError(f"board {board.name}: nothing here can run it; choose a board with an emulator")
    command = [argument.replace("{elf}", str(elf.absolute())) for argument in board.runner.command]
    path = shutil.which(command[0])
    if path is None:
        raise PlatformError(
            f"board {board.name}: {command[0]} is not installed; install it with: apt-get install {board.runner.package}"
        )
    return [path, *command[1:]]


def _sample_bytes(elf: Path, name: str) -> int:
    """Bytes of one sample, from the array of (offset, bytes) that the program holds."""
    data = elf_file.contents(elf, name)
    return sum(size for _, size in struct.iter_unpack("<II", data))


def _said(path: Path, first: int = 24, last: int = 12) -> str:
    """What a program printed, without the middle of a long text."""
    with path.open("rb") as file:
        head = file.read(8000)
        file.seek(max(len(head), path.stat().st_size - 8000))
        lines = (head + file.read()).decode(errors="replace").strip().splitlines()
    if len(lines) > first + last:
        lines[first:-last] = ["..."]
    return "\n".join(lines)


def _reason(code: int | None, words: str, elf: Path) -> str:
    if "Lockup" in words:
        return f"the processor locked up, most often because the stack ran out of the RAM:\n{words}"
    for line in words.splitlines():
        if line.startswith("hard fault at "):
            address = int(line.split()[-1], 16)
            inside = (s.name for s in elf_file.symbols(elf) if s.function and 0 <= address - s.address < s.size)
            return f"{line} in {next(inside, 'no function')}"
    said = f":\n{words}" if words else " and said nothing"
    return f"the program ended with exit code {code}{said}"


def _read_trace(path: Path) -> tuple[tuple[TraceRecord, ...], ...]:
    if not path.exists():
        raise ValueError("the program was not compiled with LAM_TRACE_FILE")
    data = path.read_bytes()
    found: list[list[TraceRecord]] = []
    at = 0
    while at < len(data):
        layer, size = struct.unpack_from("<II", data, at)
        at += 8
        if layer == TRACE_SAMPLE:
            found.append([])
        else:
            found[-1].append(TraceRecord(layer, data[at : at + size]))
        at += size
    return tuple(tuple(records) for records in found)
