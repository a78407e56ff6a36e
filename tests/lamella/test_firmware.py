"""The generated folder: builds alone, is the same every time, replaces nothing that is not Lamella's, takes hostile names."""

import json
import os
import re
import subprocess

import onnx
import pytest
from small_model import small_model

from lamella import boards, firmware, pipeline

BUILDABLE = boards.names()


def build(folder, env=None):
    """cmake, without flags, in a bare environment."""
    env = env or {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)}
    for command in (["cmake", "-B", "build"], ["cmake", "--build", "build"]):
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "warning" not in done.stderr, done.stderr
    programs = [
        p for p in (folder / "build").rglob("*")
        if p.is_file() and os.access(p, os.X_OK) and "CMakeFiles" not in p.parts
    ]  # fmt: skip
    assert len(programs) == 1
    return programs[0]


@pytest.mark.parametrize("board", BUILDABLE)
def test_folder_builds_alone_and_its_selftest_passes(model_path, lamella, tmp_path, board):
    folder = tmp_path / "fw"
    code, out, _ = lamella("generate", model_path, "--board", board, "--out", folder)
    assert code == 0 and str(folder) in out
    program = build(folder)
    if boards.load(board).runner:
        command = boards.run_hint(boards.load(board), str(program))
        done = subprocess.run(command.split(), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert done.returncode == 0 and "self-test passed" in done.stdout + done.stderr


def test_selftest_fails_when_a_weight_is_wrong(model_path, lamella, tmp_path):
    folder = tmp_path / "fw"
    assert lamella("generate", model_path, "--board", "host", "--out", folder, "--quiet")[0] == 0
    data = folder / "model" / "small_net_data.c"
    text = data.read_text()
    at = text.index("small_net_conv1_bias[8] = {") + len("small_net_conv1_bias[8] = {")
    data.write_text(text[:at] + re.sub(r"-?\d+", "9999", text[at:], count=1))
    assert subprocess.run([build(folder)], capture_output=True, timeout=60).returncode == 1


def test_two_models_fit_in_one_program(lamella, tmp_path):
    """Their names keep them apart; the arena is shared."""
    main = ["#include <stdint.h>", "static uint32_t arena[20000];"]
    sources, includes = {}, set()
    for name in ("first", "second"):
        path = tmp_path / f"{name}.onnx"
        onnx.save(small_model(name="same graph name", seed=len(name)), path)
        assert lamella("generate", path, "--board", "host", "--out", tmp_path / name, "--name", name, "--quiet")[0] == 0
        folder = tmp_path / name
        sources |= {p.name: p for p in [*(folder / "model").glob("*.c"), *(folder / "runtime").glob("*.c")]}
        includes |= {folder / "model", folder / "runtime"}
        main.append(f'#include "{name}.h"')
    main.append("int main(void) { return first_selftest(arena) + second_selftest(arena) + first_selftest(arena); }")
    (tmp_path / "main.c").write_text("\n".join(main) + "\n")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", *(f"-I{i}" for i in sorted(includes))]
    subprocess.run(
        ["gcc", *flags, *map(str, sources.values()), str(tmp_path / "main.c"), "-o", str(tmp_path / "both")], check=True
    )
    assert subprocess.run([tmp_path / "both"]).returncode == 0


def test_header_compiles_as_cpp(model_path, lamella, tmp_path):
    folder = tmp_path / "fw"
    assert lamella("generate", model_path, "--board", "host", "--out", folder, "--quiet")[0] == 0
    (tmp_path / "use.cpp").write_text('#include "small_net.h"\nint f(void *a) { return small_net_selftest(a); }\n')
    command = [
        "g++",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
        f"-I{folder}/model",
        "-c",
        str(tmp_path / "use.cpp"),
        "-o",
        str(tmp_path / "use.o"),
    ]
    subprocess.run(command, check=True)


@pytest.mark.parametrize("board", ["host", "qemu_microbit"])
def test_same_input_same_bytes(model_path, tmp_path, board):
    copy = tmp_path / "elsewhere" / model_path.name
    copy.parent.mkdir()
    copy.write_bytes(model_path.read_bytes())
    one, two = (firmware.folder_files(pipeline.compile_model(path, board)) for path in (model_path, copy))
    assert one == two
    everything = "".join(one.values())
    assert str(model_path.parent) not in everything and "/tmp" not in everything
    assert not re.search(r"\b20\d\d-\d\d-\d\d\b", everything)


def test_in_and_out_may_lie_inside_or_outside_the_arena(model_path, lamella, tmp_path):
    folder = tmp_path / "fw"
    assert lamella("generate", model_path, "--board", "host", "--out", folder, "--quiet")[0] == 0
    (folder / "main.c").write_text(
        """
#include <string.h>
#include "small_net.h"
static uint32_t words[(SMALL_NET_ARENA_BYTES + 3u) / 4u];
int main(void)
{
    uint8_t *arena = (uint8_t *)words, in[SMALL_NET_INPUT_BYTES], a[SMALL_NET_OUTPUT_BYTES], b[SMALL_NET_OUTPUT_BYTES];
    for (unsigned i = 0; i < sizeof in; i++) { in[i] = (uint8_t)(7u * i); }
    if (small_net_run(arena, in, a) != 0) { return 10; }
    memcpy(arena + SMALL_NET_INPUT_OFFSET, in, sizeof in);
    if (small_net_run(arena, arena + SMALL_NET_INPUT_OFFSET, arena + SMALL_NET_OUTPUT_OFFSET) != 0) { return 11; }
    memcpy(b, arena + SMALL_NET_OUTPUT_OFFSET, sizeof b);
    if (memcmp(a, b, sizeof a) != 0) { return 12; }
    if (small_net_run(NULL, in, a) != 1 || small_net_run(arena + 1, in, a) != 1 || small_net_run(arena, NULL, a) != 1) { return 13; }
    return 0;
}
"""
    )
    assert subprocess.run([build(folder)], timeout=60).returncode == 0


def test_folder_that_lamella_wrote_is_replaced_and_others_are_not(model_path, lamella, tmp_path):
    folder = tmp_path / "fw"
    for board in ("host", "qemu_microbit"):
        assert lamella("generate", model_path, "--board", board, "--out", folder, "--quiet")[0] == 0
        assert json.loads((folder / "lamella.json").read_text())["board"] == board
    assert (folder / "toolchain.cmake").exists()
    (folder / "build").mkdir()
    (folder / "build" / "object.o").write_text("")
    assert lamella("generate", model_path, "--board", "host", "--out", folder, "--quiet")[0] == 0
    assert not (folder / "toolchain.cmake").exists()

    (folder / "notes.txt").write_text("mine")
    code, _, err = lamella("generate", model_path, "--board", "host", "--out", folder)
    assert code == 2 and "notes.txt" in err and (folder / "notes.txt").read_text() == "mine"
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("keep")
    code, _, err = lamella("generate", model_path, "--board", "host", "--out", foreign)
    assert code == 2 and "not written by Lamella" in err and (foreign / "thesis.txt").read_text() == "keep"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fw", "thesis"]


HOSTILE = ['*/ #include "x"', "a\\\n#error", "??/", "日本語", "'; DROP", "${HOME} `id`", "int"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_names(lamella, tmp_path, name):
    """As graph, layer and input name at once: the folder builds and passes, and no text gets out of a comment."""
    path = tmp_path / "m.onnx"
    onnx.save(small_model(name=name, layer=name, x_name=name, size=6, wide=2), path)
    assert lamella("verify", path, "--board", "host", "--quiet")[0] == 0
    assert lamella("generate", path, "--board", "host", "--out", tmp_path / "fw", "--quiet")[0] == 0
    text = "".join(p.read_text() for p in (tmp_path / "fw").rglob("*") if p.is_file())
    assert name not in text or name == "int"
    assert subprocess.run([build(tmp_path / "fw")], timeout=60).returncode == 0


def test_generated_c_has_no_line_wider_than_a_screen(model_path):
    files = firmware.folder_files(pipeline.compile_model(model_path, "host"))
    for name, text in files.items():
        if name.startswith("model/"):
            assert max(map(len, text.splitlines())) <= 180, name
