"""A generated folder kept in git: a change of the generator shows as a diff to read.

LAMELLA_UPDATE_GOLDENS=1 writes it anew.
"""

import os
from pathlib import Path

import onnx
from small_model import small_model

from lamella import firmware, pipeline

GOLDEN = Path(__file__).parent / "golden_microbit"


def test_generated_folder_is_the_one_kept_here(tmp_path):
    path = tmp_path / "golden.onnx"
    onnx.save(small_model(name="golden", size=8, wide=3), path)
    files = firmware.folder_files(pipeline.compile_model(path, "qemu_microbit"))
    # Runtime and board support are copies of what lies in the repository.
    files = {name: text for name, text in files.items() if not name.startswith(("runtime/", "board/"))}
    if os.environ.get("LAMELLA_UPDATE_GOLDENS"):
        for name, text in files.items():
            (GOLDEN / name).parent.mkdir(parents=True, exist_ok=True)
            (GOLDEN / name).write_text(text)
    kept = {str(p.relative_to(GOLDEN)): p.read_text() for p in GOLDEN.rglob("*") if p.is_file()}
    assert files.keys() == kept.keys()
    for name, text in files.items():
        assert text == kept[name], f"{name} differs from {GOLDEN.name}; LAMELLA_UPDATE_GOLDENS=1 takes the new one"
