"""Running: right outputs on every board, and clear words when a program goes wrong."""

import errno
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lamella import boards
from lamella.errors import PlatformError, UsageError
from lamella.execute import Execution, ExecutionFailed, execute

Run = Callable[..., Execution]
SAMPLES = bytes(range(24))
INCREMENTED = bytes(range(1, 25))


def test_every_board_runs_three_samples(runnable: str, run: Run, model: Callable[..., str]):
    done = run(runnable, model(), SAMPLES)
    assert (done.outputs, done.samples) == (INCREMENTED, 3)
    assert run(runnable, model(), SAMPLES) == done


def test_no_sample_is_no_output(runnable: str, run: Run, model: Callable[..., str]):
    done = run(runnable, model(), b"")
    assert (done.outputs, done.samples, done.instructions) == (b"", 0, None)


def test_several_inputs_and_outputs_follow_each_other(runnable: str, run: Run, model: Callable[..., str]):
    text = model(inputs="{4, 2}, {0, 1}", outputs="{15, 1}, {8, 2}")
    # The first input lies at 4 and 5, the second at 0.
    done = run(runnable, text.replace("x[i] + 1", "x[i] + 1 + i"), bytes([10, 20, 30, 40, 50, 60]), count=False)
    assert done.outputs[1:3] == bytes([31, done.outputs[2]]) and done.outputs[4] == 61
    assert len(done.outputs) == 6


def test_buffers_lie_where_the_program_says(runnable: str, run: Run, model: Callable[..., str]):
    body = "y[0] = x[0]; y[1] = x[4]; y[2] = x[5]; return 0;"
    text = model(body, inputs="{4, 2}, {0, 1}", outputs="{10, 1}, {8, 2}")
    done = run(runnable, text, bytes([10, 20, 30, 40, 50, 60]), count=False)
    assert done.outputs == bytes([20, 30, 10, 50, 60, 40])


def test_harness_leaves_room_for_a_large_arena(run: Run, model: Callable[..., str]):
    done = run("qemu_microbit", model(arena=14 * 1024), SAMPLES)
    assert done.outputs == INCREMENTED


def test_progress_ends_complete(runnable: str, run: Run, model: Callable[..., str]):
    seen: list[tuple[int, int]] = []
    run(runnable, model(), SAMPLES, progress=lambda done, whole: seen.append((done, whole)))
    assert seen[-1] == (3, 3)


def test_trace_records_every_layer_of_every_sample(
    runnable: str, program: Callable[..., Path], model: Callable[..., str], cache: Path
):
    board = boards.load(runnable)
    text = model("y[0] = (uint8_t)(x[0] + 1); lam_trace(0, y, 1); lam_trace(7, x, 3); return 0;")
    elf = program(board, text, defines=["LAM_TRACE_FILE"])
    done = execute(board, elf, SAMPLES, run_symbol="m_run", trace=True, count=False, cache_dir=cache)
    expected = tuple(((0, SAMPLES[i : i + 1].translate(PLUS_ONE)), (7, SAMPLES[i : i + 3])) for i in (0, 8, 16))
    assert done.trace == expected


PLUS_ONE = bytes((i + 1) % 256 for i in range(256))


def test_trace_of_a_program_without_it_is_refused(run: Run, model: Callable[..., str]):
    with pytest.raises(ValueError, match="LAM_TRACE_FILE"):
        run("host", model(), trace=True)


# --- stack ---

FRAME = "volatile uint8_t frame[{size}]; for (int i = 0; i < {size}; i++) {{ frame[i] = x[i & 7]; }} y[0] = frame[3]; return 0;"


def test_stack_grows_with_the_frame(emulated: str, run: Run, model: Callable[..., str]):
    small, large = (run(emulated, model(FRAME.format(size=size)), count=False).stack_bytes for size in (512, 1024))
    assert small is not None and large is not None
    assert 512 <= small <= 512 + 64
    assert large - small == 512


def test_stack_agrees_with_the_compiler(emulated: str, run: Run, model: Callable[..., str], tmp_path: Path):
    board = boards.load(emulated)
    text = model(FRAME.format(size=200)).replace("return m_run(", "return 1 - m_run(").replace("return 0", "return 1")
    painted = run(emulated, text, count=False).stack_bytes
    (tmp_path / "m.c").write_text(text)
    flags = boards.product_flags(board).compile
    include = f"-I{boards.SUPPORT / 'harness'}"
    subprocess.run([board.compiler.cc, *flags, include, "-fstack-usage", "-c", "m.c"], cwd=tmp_path, check=True)
    frames = dict(re.findall(r":(\w+)\t(\d+)\tstatic", (tmp_path / "m.su").read_text()))
    said = int(frames["m_run"]) + int(frames["lam_harness_invoke"])
    assert painted is not None
    # A frame is rounded up to 8 bytes, and its last word need not be written.
    assert said - 8 <= painted <= said


def test_stack_is_the_deepest_of_the_samples(emulated: str, run: Run, model: Callable[..., str]):
    text = model("return x[0] == 2 ? deep(x) : 0;".replace("return", "y[0] = 0; return"), extra=DEEP)
    flat, deep = (run(emulated, text, bytes([0] * 8 + [value] + [0] * 15), count=False).stack_bytes for value in (1, 2))
    assert flat is not None and deep is not None
    assert deep >= flat + 300


DEEP = """
int deep(const uint8_t *x);
__attribute__((noinline)) int deep(const uint8_t *x)
{
    volatile uint8_t frame[304];
    for (int i = 0; i < 304; i++) { frame[i] = x[0]; }
    return frame[5] - 2;
}
"""


def test_host_says_nothing_of_its_stack(run: Run, model: Callable[..., str]):
    assert run("host", model()).stack_bytes is None


# --- what goes wrong ---

RECURSE = """
int recurse(const uint8_t *x, int depth);
__attribute__((noinline)) int recurse(const uint8_t *x, int depth)
{
    volatile uint8_t frame[256];
    for (int i = 0; i < 256; i++) { frame[i] = x[0]; }
    int below = depth == 0 ? 0 : recurse(x, depth - 1);
    return below + frame[depth];
}
"""


@pytest.mark.parametrize("sample", [0, 4])
def test_stack_overflow_is_an_error(sample: int, run: Run, model: Callable[..., str]):
    """Also after the first samples, whose stack is painted. 36 frames of 256 bytes are more than the 8 KB left."""
    samples = bytearray(8 * 5)
    samples[8 * sample + 1] = 36
    text = model("y[0] = 0; return recurse(x, x[1]);", extra=RECURSE, arena=8 * 1024)
    with pytest.raises(ExecutionFailed, match=r"(?s)qemu_microbit.*stack ran into the variables"):
        run("qemu_microbit", text, bytes(samples), count=False)


def test_unaligned_load_faults_where_the_board_says_so(emulated: str, run: Run, model: Callable[..., str]):
    load = {"cortex_m": "ldr %0, [%1]", "riscv": "lw %0, 0(%1)"}[boards.load(emulated).core.family]
    load = f'__asm__ volatile("{load}" : "=r"(word) : "r"(x + 1) : "memory");'
    text = model(f"uint32_t word; {load} y[0] = (uint8_t)word; return 0;")
    if boards.load(emulated).unaligned:
        assert run(emulated, text, bytes(range(8))).outputs[0] == 1
    else:
        with pytest.raises(ExecutionFailed, match=f"{emulated}: hard fault at 0x[0-9a-f]{{8}} in m_run"):
            run(emulated, text)


UNDEFINED = {"cortex_m": "udf #0", "riscv": "unimp"}


def test_hard_fault_is_an_error_that_says_where(emulated: str, run: Run, model: Callable[..., str]):
    with pytest.raises(ExecutionFailed, match=f"{emulated}: hard fault at 0x[0-9a-f]{{8}} in m_run"):
        run(
            emulated,
            model(f'y[0] = x[0]; __asm__ volatile("{UNDEFINED[boards.load(emulated).core.family]}"); return 0;'),
            timeout=20,
        )


def test_fault_without_a_stack_is_an_error(emulated: str, run: Run, model: Callable[..., str]):
    """The processor cannot take the exception and locks up, or takes it and has nothing to say it with. RISC-V needs no
    stack to take it."""
    text = {
        "cortex_m": 'y[0] = x[0]; __asm__ volatile("movs r0, #0; mov sp, r0; udf #0" ::: "r0"); return 0;',
        "riscv": 'y[0] = x[0]; __asm__ volatile("li sp, 0; sw x0, -4(sp)" ::: "memory"); return 0;',
    }[boards.load(emulated).core.family]
    text = model(text)
    with pytest.raises(ExecutionFailed, match=f"board {emulated}: ") as raised:
        run(emulated, text, timeout=20)
    if emulated == "qemu_mps2_an386":
        assert "locked up" in str(raised.value)
    if boards.load(emulated).core.family == "riscv":
        assert "hard fault at 0x" in str(raised.value)


def test_crash_on_the_host_is_an_error(run: Run, model: Callable[..., str]):
    with pytest.raises(ExecutionFailed, match="host: the program ended with exit code -"):
        run("host", model("y[0] = x[0]; __builtin_trap();"))


def test_sanitizer_report_is_shown(program: Callable[..., Path], model: Callable[..., str]):
    board = boards.load("host")
    elf = program(board, model("y[x[0]] = 1; return 0;"), sanitize=True)
    assert execute(board, elf, bytes(8), run_symbol="m_run").samples == 1
    with pytest.raises(ExecutionFailed, match=r"(?s)AddressSanitizer: global-buffer-overflow.*lam_harness_arena"):
        execute(board, elf, bytes([8] * 8), run_symbol="m_run")


def test_error_of_the_model_is_told(runnable: str, run: Run, model: Callable[..., str]):
    with pytest.raises(ExecutionFailed, match=f"(?s){runnable}.*exit code 1.*model returned error 0x0000002a"):
        run(runnable, model("y[0] = x[0]; return 42;"))


def test_endless_program_is_stopped(runnable: str, run: Run, model: Callable[..., str]):
    with pytest.raises(ExecutionFailed, match=f"{runnable}: not done after 0.4 seconds"):
        run(runnable, model("for (;;) { *(volatile uint8_t *)y = x[0]; }"), timeout=0.4)


def test_half_a_sample_is_refused(run: Run, model: Callable[..., str]):
    with pytest.raises(ValueError, match="9 bytes are not whole samples of 8"):
        run("host", model(), bytes(9))


def test_board_without_runner_is_refused(program: Callable[..., Path], model: Callable[..., str]):
    elf = program(boards.load("host"), model())
    with pytest.raises(UsageError, match="nucleo_f446re"):
        execute(boards.load("nucleo_f446re"), elf, bytes(8), run_symbol="m_run")


def test_missing_emulator_names_its_package(
    emulated: str, program: Callable[..., Path], model: Callable[..., str], monkeypatch: pytest.MonkeyPatch
):
    board = boards.load(emulated)
    elf = program(board, model())
    monkeypatch.setenv("PATH", "")
    assert board.runner is not None
    command, package = board.runner.command[0], board.runner.package
    assert command.startswith("qemu-system-") and package.startswith("qemu-system-")
    with pytest.raises(PlatformError, match=f"{command} is not installed.*apt-get install {package}"):
        execute(board, elf, bytes(8), run_symbol="m_run")


def test_full_disk_is_named(run: Run, model: Callable[..., str], monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/elsewhere")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(PlatformError, match="/elsewhere: No space left on device.*LAMELLA_CACHE and TMPDIR"):
        run("host", model())
