"""Names from model files are harmless in C."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamella.codegen import names


@given(st.text(max_size=80))
def test_identifier_is_one(text):
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", names.identifier(text, "layer"))


@given(st.lists(st.text(alphabet="aA_ /", max_size=4), max_size=12))
def test_unique_names_differ_even_without_case(texts):
    found = names.unique(texts, "layer", taken=["a"])
    assert len({name.lower() for name in found}) == len(texts)
    assert "a" not in [name.lower() for name in found]


@given(st.text())
def test_comment_ends_no_comment_and_no_line(text):
    shown = names.comment(text)
    assert "*/" not in shown and "/*" not in shown and "//" not in shown
    assert "\n" not in shown and "\\" not in shown and '"' not in shown and "`" not in shown and "$" not in shown


@pytest.mark.parametrize("text", ["int", "uint8_t", "NULL", "INT8_MAX", "lam_copy", "main", "9lives", "__x"])
def test_words_of_c_are_avoided(text):
    name = names.identifier(text, "layer")
    assert name != text and not name.startswith("_") and not name.lower().startswith("lam_")
