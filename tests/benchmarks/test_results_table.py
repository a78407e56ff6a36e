"""docs/results.md says what examples/*/metrics.json say."""

import importlib.util
from pathlib import Path

PATH = Path(__file__).parents[2] / "benchmarks" / "results.py"


def test_table_is_that_of_the_examples():
    spec = importlib.util.spec_from_file_location("lamella_results", PATH)
    results = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(results)
    assert results.document() == results.DOCUMENT.read_text(encoding="utf-8")
    assert results.examples().count("\n| `") == len(list(results.EXAMPLES.glob("*/model.onnx")))
