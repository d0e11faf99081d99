"""Profiles as TOML text: what is written is what is read."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeort.probing.writing import toml

# Lone surrogates are no text that a file in UTF-8 could hold.
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
NUMBERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
VALUES = st.one_of(TEXT, NUMBERS, st.lists(st.one_of(TEXT, NUMBERS), max_size=3))
KEYS = st.one_of(st.from_regex(r"[a-z_][a-z0-9_]{0,6}", fullmatch=True), TEXT)
TABLES = st.recursive(
    st.dictionaries(KEYS, VALUES, max_size=4),
    lambda inner: st.dictionaries(KEYS, st.one_of(VALUES, inner, st.lists(inner, min_size=1, max_size=3)), max_size=4),
    max_leaves=12,
)


@given(TABLES, TEXT, TEXT)
def test_round_trip(table: dict[str, Any], comment: str, head: str):
    comments = dict.fromkeys(table, comment)
    assert tomllib.loads(toml(table, comments, head)) == table


def test_comments_stand_on_the_line_of_their_key():
    table = {"cpu": {"l3_kb": 2048, "cluster": [{"mhz": 1800}, {"mhz": 600}]}}
    text = toml(table, {"cpu.l3_kb": "read: /sys", "cpu.cluster[1].mhz": "assumed\nas ever"}, "two\nlines")
    assert text == (
        "# two\n# lines\n\n[cpu]\nl3_kb = 2048 # read: /sys\n\n"
        "[[cpu.cluster]]\nmhz = 1800\n\n[[cpu.cluster]]\nmhz = 600 # assumed as ever\n"
    )


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_no_profile_has(number: float):
    with pytest.raises(ValueError, match="is no number of a profile"):
        toml({"x": number}, {})
