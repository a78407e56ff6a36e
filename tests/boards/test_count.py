"""Counting: exact, repeatable, by layer; and by the clock where QEMU loads no plugin."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lamella import boards, qemu_count
from lamella.errors import PlatformError, UsageError
from lamella.execute import Execution

Run = Callable[..., Execution]

# Instructions of known number, on every core. Arm: 16-bit encodings that a Cortex-M0 has too.
RUN = "__attribute__((naked)) int m_run(const uint8_t *x, uint8_t *y)"
LOOP = {
    "cortex_m": ".syntax unified; ldr r3, =%d; 1: subs r3, r3, #1; bne 1b; movs r0, #0; bx lr; .ltorg",
    "riscv": "li t0, %d; 1: addi t0, t0, -1; bnez t0, 1b; li a0, 0; ret",
}


def loop(n: int, board: str) -> tuple[str, int]:
    """A run function and how many instructions it executes: three, and two a round."""
    return f'{RUN} {{ __asm__("{LOOP[boards.load(board).core.family] % n}"); }}', 3 + 2 * n


# Two layers of known length, first: 2 n + 2, second: 2; and a run function that calls them: 3, 1, 1 + 2 instructions.
LAYERS = {
    "cortex_m": (
        ".syntax unified; movs r3, #50; 1: subs r3, r3, #1; bne 1b; bx lr",
        "nop; bx lr",
        ".syntax unified; push {r4, lr}; nop; bl first; bl second; bl first; movs r0, #0; pop {r4, pc}",
    ),
    "riscv": (
        "li t0, 50; 1: addi t0, t0, -1; bnez t0, 1b; ret",
        "nop; ret",
        "mv s0, ra; nop; jal first; jal second; jal first; li a0, 0; jr s0",
    ),
}


def layers(board: str) -> str:
    """The run function with its layers."""
    first, second, run = LAYERS[boards.load(board).core.family]
    text = "".join(
        f'void {name}(void);\n__attribute__((naked, used)) void {name}(void) {{ __asm__("{code}"); }}\n'
        for name, code in (("first", first), ("second", second))
    )
    return f'{text}{RUN} {{ __asm__("{run}"); }}\n'


@pytest.fixture
def naked(model: Callable[..., str]) -> Callable[[str], str]:
    """The adapter around a run function in assembly, which does not use its arguments as the compiler sees it."""
    ignore = '#pragma GCC diagnostic ignored "-Wunused-parameter"\n'
    ignore += '#pragma GCC diagnostic ignored "-Wreturn-type"\n'
    return lambda text: model(run=text, extra=ignore)


def test_count_equals_known_number(emulated: str, run: Run, naked: Callable[[str], str]):
    text, expected = loop(1000, emulated)
    done = run(emulated, naked(text))
    assert done.instructions == expected
    assert done.functions == {"m_run": expected}
    assert run(emulated, naked(text)) == done


def test_segments_end_where_layers_return(emulated: str, run: Run, naked: Callable[[str], str]):
    done = run(emulated, naked(layers(emulated)), segments=True)
    first, second = 2 + 2 * 50, 2
    # What runs before a call belongs to it, and what runs after the last one to the last.
    assert done.segments == (3 + first, 1 + second, 1 + first + 2)
    assert done.instructions == sum(done.segments)
    assert done.functions == {"m_run": 7, "first": 2 * first, "second": second}


def test_last_layer_may_be_jumped_to(emulated: str, run: Run, naked: Callable[[str], str]):
    end, leave, back = {
        "cortex_m": (
            "bl first; movs r0, #0; pop {r4, pc}",
            "pop {r2, r3}; mov lr, r3; movs r0, #0; ldr r3, =third; bx r3; .ltorg",
            "bx lr",
        ),
        "riscv": ("jal first; li a0, 0; jr s0", "mv ra, s0; li a0, 0; nop; nop; j third", "ret"),
    }[boards.load(emulated).core.family]
    text = layers(emulated).replace(end, leave)
    assert leave in text
    third = f'void third(void);\n__attribute__((naked, used)) void third(void) {{ __asm__("nop; nop; {back}"); }}\n'
    done = run(emulated, naked(third + text), segments=True)
    assert done.segments == (3 + 102, 1 + 2, 5 + 3)


def test_segments_are_none_where_samples_differ_in_calls(emulated: str, run: Run, model: Callable[..., str]):
    layer = "__attribute__((noinline)) static void layer(uint8_t *y) { *(volatile uint8_t *)y = 1; }"
    text = model("for (int i = 0; i < x[0]; i++) { layer(y); } return 0;", extra=layer)
    samples = bytes([1] + [0] * 7 + [3] + [0] * 7)
    varying = run(emulated, text, samples, segments=True)
    assert varying.segments is None
    assert varying.functions is not None and varying.instructions == sum(varying.functions.values())
    assert len(run(emulated, text, bytes([3] + [0] * 7) * 2, segments=True).segments or ()) == 3


@pytest.mark.parametrize(("calls", "known"), [(4096, True), (4097, False)])
def test_thousands_of_calls_are_counted_without_segments(calls: int, known: bool, run: Run, model: Callable[..., str]):
    layer = "__attribute__((noinline)) static void layer(uint8_t *y) { *(volatile uint8_t *)y = 1; }"
    text = model(f"y[0] = x[0]; for (int i = 0; i < {calls}; i++) {{ layer(y); }} return 0;", extra=layer)
    done = run("qemu_mps2_an386", text, segments=True)
    assert done.functions is not None and done.instructions == sum(done.functions.values())
    assert (done.segments is not None) == known
    assert not known or done.instructions == sum(done.segments or ())


def test_count_is_the_mean_over_the_samples(emulated: str, run: Run, model: Callable[..., str]):
    text = model("for (int i = 0; i < 10 * x[0]; i++) { *(volatile uint8_t *)y = 1; } return 0;")
    one, three, both = (
        run(emulated, text, b"".join(bytes([value] + [0] * 7) for value in values)).instructions
        for values in ((1,), (3,), (1, 3))
    )
    assert one is not None and three is not None and three > one
    assert both == (one + three) / 2


def test_count_by_block_equals_count_by_instruction(
    emulated: str, run: Run, model: Callable[..., str], monkeypatch: pytest.MonkeyPatch
):
    """With conditions, 64-bit arithmetic and calls into the compiler's library."""
    body = "uint64_t a = 1; for (int i = 0; i < 8; i++) { a = a * 77u + x[i]; if (a % 3u) { a /= 5u; } y[i] = (uint8_t)a; } return 0;"
    samples = bytes(range(80))
    by_block = run(emulated, model(body), samples, segments=True)
    arguments = qemu_count.Plugin.arguments
    monkeypatch.setattr(
        qemu_count.Plugin, "arguments", lambda *a: [*arguments(*a)[:-1], arguments(*a)[-1] + ",by=instruction"]
    )
    assert run(emulated, model(body), samples, segments=True) == by_block


def test_blocks_of_the_first_call_add_up_to_its_segments(emulated: str, run: Run, model: Callable[..., str]):
    layer = "__attribute__((noinline)) static void f(const uint8_t *x, uint8_t *y) { for (int i = 0; i < x[0]; i++) { y[1] = (uint8_t)(y[1] * 3u + y[0]); } }"
    text = model("f(x, y); f(x + 1, y); y[0] = x[0]; return 0;", extra=layer)
    done = run(emulated, text, bytes([5, 3]) + bytes(6), segments=True, blocks=True)
    per_segment = [0, 0]
    for block in done.blocks:
        per_segment[block.segment] += block.instructions * block.times
        assert 0 <= block.left <= block.times
    assert done.samples == 1 and per_segment == list(done.segments or ())
    assert max(block.left for block in done.blocks) >= 1


def test_cold_part_that_the_compiler_splits_off_is_no_layer(emulated: str, run: Run, model: Callable[..., str]):
    layer = "__attribute__((noinline, cold)) static void odd(uint8_t *y) { *(volatile uint8_t *)y = 1; }"
    text = model(
        "for (int i = 0; i < 2; i++) { odd(y); } if (x[0] == 9) { odd(y + 1); odd(y + 2); } return 0;", extra=layer
    )
    assert len(run(emulated, text, segments=True).segments or ()) == 2


def test_host_counts_nothing(run: Run, model: Callable[..., str]):
    done = run("host", model(), segments=True)
    assert (done.instructions, done.segments, done.functions) == (None, None, None)


def test_counting_can_be_left_out(emulated: str, run: Run, model: Callable[..., str]):
    done = run(emulated, model(), count=False)
    assert (done.instructions, done.functions) == (None, None)


def test_run_function_that_is_never_entered_is_a_fault(run: Run, model: Callable[..., str], program, cache: Path):
    from lamella.execute import execute

    board = boards.load("qemu_microbit")
    with pytest.raises(RuntimeError, match="other_run ran 0 times, not 1"):
        execute(board, program(board, model()), bytes(8), run_symbol="other_run", cache_dir=cache)


# --- by the clock ---


def near(counted: float | None, exact: float, board: str) -> bool:
    """Within two ticks: one for the rounding, one for reading the clock before and after, some 20 instructions."""
    runner = boards.load(board).runner
    assert counted is not None and runner is not None
    tick = max(1e9 / runner.clock_hz, 20)
    return 0 <= counted - exact + tick <= 3 * tick


def test_clock_agrees_with_the_plugin(
    emulated: str, run: Run, model: Callable[..., str], monkeypatch: pytest.MonkeyPatch
):
    text = model("for (int i = 0; i < 3000; i++) { *(volatile uint8_t *)y = x[0]; } return 0;")
    monkeypatch.setenv("LAMELLA_COUNT", "plugin")
    exact = run(emulated, text, bytes(40))
    monkeypatch.setenv("LAMELLA_COUNT", "icount")
    timed = run(emulated, text, bytes(40), segments=True)
    assert exact.instructions is not None and exact.instructions > 9000
    assert near(timed.instructions, exact.instructions, emulated)
    assert (timed.outputs, timed.samples, timed.stack_bytes) == (exact.outputs, exact.samples, exact.stack_bytes)
    assert (timed.segments, timed.functions) == (None, None)


def test_clock_goes_on_where_its_24_bits_end(run: Run, naked: Callable[[str], str], monkeypatch: pytest.MonkeyPatch):
    text, expected = loop(350_000_000, "qemu_mps2_an386")
    assert expected > 40 << 24
    monkeypatch.setenv("LAMELLA_COUNT", "icount")
    assert near(run("qemu_mps2_an386", naked(text), bytes(8)).instructions, expected, "qemu_mps2_an386")


@pytest.fixture
def fresh_plugin(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Forgets which version of the plugin worked, before and after."""
    notes = list((cache / "plugins").glob("*.version"))
    assert all(note.read_text() for note in notes)
    for note in notes:
        note.unlink()
    yield
    for note in (cache / "plugins").glob("*.version"):
        note.unlink()


@pytest.mark.usefixtures("fresh_plugin")
def test_refused_version_is_followed_by_the_next(
    run: Run, naked: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, cache: Path
):
    monkeypatch.setattr(qemu_count, "VERSIONS", (99, 1))
    text, expected = loop(10, "qemu_microbit")
    assert run("qemu_microbit", naked(text)).instructions == expected
    assert [note.read_text() for note in (cache / "plugins").glob("*.version")] == ["1"]


@pytest.mark.usefixtures("fresh_plugin")
def test_emulator_without_plugins_counts_by_the_clock(
    run: Run, naked: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(qemu_count, "VERSIONS", (99,))
    text, expected = loop(1000, "qemu_mps2_an386")
    for _ in range(2):  # the second time it knows
        done = run("qemu_mps2_an386", naked(text), segments=True)
        assert near(done.instructions, expected, "qemu_mps2_an386") and done.segments is None
    monkeypatch.setenv("LAMELLA_COUNT", "plugin")
    with pytest.raises(PlatformError, match="cannot count by plugin"):
        run("qemu_mps2_an386", naked(text))


def test_unknown_way_to_count_is_refused(run: Run, model: Callable[..., str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LAMELLA_COUNT", "guess")
    with pytest.raises(UsageError, match="LAMELLA_COUNT=guess"):
        run("qemu_microbit", model())
