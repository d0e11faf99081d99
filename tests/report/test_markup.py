"""Markup: whatever text goes in, it comes out as text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeort.report.markup import Markup, code, escape, join, tag, visible


class Reader(HTMLParser):
    """Tags, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@settings(deadline=None)
@given(st.text())
def test_text_comes_back_and_makes_no_tags(text: str):
    read = Reader(tag("p", text, title=text))
    assert read.tags == [("p", {"title": visible(text)})]
    assert read.text == visible(text)


@settings(deadline=None)
@given(st.text())
def test_any_text_can_be_written_as_utf_8(text: str):
    code(text).encode("utf-8")


@pytest.mark.parametrize(
    "text, shown",
    [
        ("a\u202eb", "a\\u202eb"),  # right-to-left override: would turn what follows
        ("a\u2066b\u2069", "a\\u2066b\\u2069"),
        ("a\x00\x1b\n", "a\\u0000\\u001b\\u000a"),
        ("\ud800", "\\ud800"),  # half of a pair, which UTF-8 cannot hold
        ("\u200bzero width", "\\u200bzero width"),
        ("\U000e0041", "\\U000e0041"),  # a tag character
        ("שלום مرحبا 日本語 é", "שלום مرحبا 日本語 é"),  # letters of any script stay
    ],
)
def test_what_cannot_be_seen_is_spelt(text: str, shown: str):
    assert visible(text) == shown


def test_children_are_flattened_and_none_left_out():
    assert tag("ul", [tag("li", n) for n in (1, 2)], None, "<") == "<ul><li>1</li><li>2</li>&lt;</ul>"
    assert join("a&b", Markup("<b>")) == "a&amp;b<b>"


def test_attributes():
    assert tag("th", "x", class_="a b", data_value=1.5, hidden=True, id=None, open=False) == (
        '<th class="a b" data-value="1.5" hidden>x</th>'
    )
    assert tag("input", value='"><script>') == '<input value="&quot;&gt;&lt;script&gt;">'
    assert tag("rect", x=1 / 3, y=2.0) == '<rect x="0.33" y="2"></rect>'


def test_names_have_a_direction_of_their_own():
    assert code("<a>") == "<code><bdi>&lt;a&gt;</bdi></code>"
    assert escape("'") == "&#x27;"
