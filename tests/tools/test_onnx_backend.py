"""The official ONNX backend tests: every sixteenth against the C, and the list of all in the docs."""

import sys
from pathlib import Path

import onnx
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import onnx_backend

EVERY, FIRST = 16, 3


def test_every_sixteenth_test_gives_what_the_document_says():
    chosen = onnx_backend.cases()
    text = onnx_backend.DOCUMENT.read_text(encoding="utf-8")
    if f"onnx {onnx.__version__}," not in text:
        pytest.skip(
            f"the list is of another version than onnx {onnx.__version__}; tools/onnx_backend.py --update writes it"
        )
    some = chosen[FIRST::EVERY]
    results = onnx_backend.run(some)
    assert not {name: r for name, r in results.items() if r.startswith("failed")}
    assert sum(r == "passed" for r in results.values()) > len(some) / 2
    listed = text.split("Skipped, and why:")[1]
    for case in some:
        skipped = results[case.name] != "passed"
        assert (f"`{case.name.removeprefix('test_')}`" in listed) == skipped, (case.name, results[case.name])


def test_the_document_counts_every_test():
    text = onnx_backend.DOCUMENT.read_text(encoding="utf-8")
    rows = [line.split("|")[2:5] for line in text.splitlines() if line.startswith("| ") and "passed" not in line]
    passed, failed, skipped = (sum(int(row[k]) for row in rows) for k in range(3))
    assert f"passed: {passed}, failed: {failed}, skipped: {skipped}." in text
    assert passed > 400 and failed == 0
