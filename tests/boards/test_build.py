"""Building: strict, cached by content, honest about what does not fit."""

import os
import threading
from pathlib import Path

import pytest

from lamella import boards, build, elf
from lamella.build import CompileError, ImageOverflow
from lamella.errors import PlatformError, UsageError

EMPTY_MAIN = "int main(void);\nint main(void) { return 0; }\n"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Every command that the builder runs from now on."""
    seen: list[list[str]] = []
    original = build.subprocess.run

    def run(command: list[str], **options: object) -> object:
        seen.append(command)
        return original(command, **options)

    monkeypatch.setattr(build.subprocess, "run", run)
    return seen


def compiled(calls: list[list[str]]) -> list[str]:
    """The names of the files that were compiled, in order."""
    return sorted(command[command.index("-c") + 1] for command in calls if "-c" in command)


def test_second_build_runs_no_compiler(any_board: str, tmp_path: Path, calls: list[list[str]]):
    board = boards.load(any_board)
    first = build.build(board, {"m.c": EMPTY_MAIN}, cache_dir=tmp_path)
    assert "m.c" in compiled(calls)
    calls.clear()
    assert build.build(board, {"m.c": EMPTY_MAIN}, cache_dir=tmp_path) == first
    assert calls == []


def test_cache_key_holds_all_that_changes_the_object(tmp_path: Path, calls: list[list[str]]):
    board = boards.load("host")
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    (runtime / "r.h").write_text("int r(void);\n")
    (runtime / "r.c").write_text('#include "r.h"\nint r(void) { return 1; }\n')
    options: dict = {"include_dirs": [runtime], "files": [runtime / "r.c"], "cache_dir": tmp_path / "cache"}
    text = '#include "r.h"\n#include "m.h"\n' + EMPTY_MAIN.replace("return 0", "return r() - VALUE")

    def recompiled(header: str = "#define VALUE 1\n", **more: object) -> list[str]:
        calls.clear()
        build.build(board, {"m.c": text, "m.h": header}, **options, **more)
        return compiled(calls)

    assert recompiled() == ["m.c", "r.c"]
    assert recompiled() == []
    # The runtime does not see the model's headers: its object serves every model.
    assert recompiled(header="#define VALUE 2\n") == ["m.c"]
    assert recompiled(defines=["X"]) == ["m.c", "r.c"]
    assert recompiled(optimize="speed") == ["m.c", "r.c"]
    (runtime / "r.h").write_text("int r(void); \n")
    assert recompiled() == ["m.c", "r.c"]


def test_concurrent_builds_share_a_cache(tmp_path: Path):
    board = boards.load("host")
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(build.build(board, {"m.c": EMPTY_MAIN}, cache_dir=tmp_path)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1
    assert not list(tmp_path.glob("*/.*"))


def test_old_entries_leave_a_full_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    board = boards.load("host")
    (tmp_path / "objects").mkdir()
    for name, days in (("older", 9), ("old", 8), ("new", 0)):
        (tmp_path / "objects" / name).write_bytes(bytes(1 << 20))
        os.utime(tmp_path / "objects" / name, (build.time.time() - days * 86400,) * 2)
    monkeypatch.setattr(build, "CACHE_BYTES", 5 << 19)
    build.build(board, {"m.c": EMPTY_MAIN}, cache_dir=tmp_path)
    assert {path.name for path in (tmp_path / "objects").iterdir()} >= {"old", "new"}
    assert not (tmp_path / "objects" / "older").exists()


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("LAMELLA_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert build.cache_folder() == tmp_path / "lamella"
    monkeypatch.setenv("LAMELLA_CACHE", str(tmp_path / "other"))
    assert build.cache_folder() == tmp_path / "other"


def test_cache_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(PlatformError, match="LAMELLA_CACHE"):
        build.build(boards.load("host"), {"m.c": EMPTY_MAIN}, cache_dir=tmp_path / "file" / "cache")


def test_missing_compiler_names_its_package(any_board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    board = boards.load(any_board)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PlatformError, match=f"{board.compiler.cc} .*apt-get install {board.compiler.package}"):
        build.build(board, {"m.c": EMPTY_MAIN}, cache_dir=tmp_path)


@pytest.mark.parametrize(
    "text", ["static int unused;\n" + EMPTY_MAIN, EMPTY_MAIN.replace("int main(void);\n", ""), EMPTY_MAIN + "int f("]
)
def test_warnings_and_errors_of_generated_code_show_the_compilers_words(any_board: str, text: str, cache: Path):
    if "int main(void);" not in text:  # a main without prototype is allowed; another function is not
        text += "int f(void) { return 0; }\n"
    with pytest.raises(CompileError, match=r"m\.c:\d+:\d+: error"):
        build.build(boards.load(any_board), {"m.c": text}, cache_dir=cache)


def test_missing_function_is_a_fault_of_ours(cache: Path):
    text = "int f(void);\n" + EMPTY_MAIN.replace("return 0", "return f()")
    with pytest.raises(CompileError, match="undefined reference"):
        build.build(boards.load("qemu_microbit"), {"m.c": text}, cache_dir=cache)


@pytest.mark.parametrize("region", ["flash", "ram"])
def test_overflow_says_how_many_bytes_of_which_region(region: str, cache: Path):
    board = boards.load("qemu_microbit")
    memory = {"flash": board.flash, "ram": board.ram}[region]
    assert memory is not None
    kind = "const" if region == "flash" else ""
    text = f"static volatile int index;\nextern {kind} unsigned char big[];\n"
    # Not all zero, or the compiler needs no array.
    content = " = {1}" if kind else ""
    text += f"{kind} unsigned char big[{memory.size + 1000}]{content};\n" + EMPTY_MAIN.replace(
        "return 0", "return big[index]"
    )
    with pytest.raises(ImageOverflow) as raised:
        build.build(board, {"m.c": text}, cache_dir=cache)
    image = elf.measure(build.build(board, {"m.c": text}, enlarged=True, cache_dir=cache), board, [], "big")
    taken = image.flash_total if region == "flash" else image.ram_static + image.ram_arena
    assert raised.value.bytes_over == {region: taken - memory.size}
    assert raised.value.exit_code == 1 and str(taken - memory.size) in str(raised.value)


def test_harness_needs_a_runner(cache: Path):
    with pytest.raises(UsageError, match="nucleo_f446re"):
        build.build(boards.load("nucleo_f446re"), {"m.c": EMPTY_MAIN}, with_harness=True, cache_dir=cache)


def test_sanitizers_are_for_the_host(cache: Path):
    with pytest.raises(UsageError, match="--board host"):
        build.build(boards.load("qemu_microbit"), {"m.c": EMPTY_MAIN}, sanitize=True, cache_dir=cache)
