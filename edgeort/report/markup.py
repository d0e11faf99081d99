"""HTML and SVG as nested calls. Text is escaped unless it is `Markup`, so that no name of a model becomes a tag."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable

_VOID = frozenset({"meta", "input", "br", "hr", "col"})
# Controls, marks of direction, halves of pairs, what is no character, ends of lines.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class Markup(str):
    """A string that is HTML already."""

    __slots__ = ()


def visible(text: str) -> str:
    """`text` with what is not to be seen, and what turns the direction of writing, as `\\u202e`."""
    if text.isprintable():
        return text
    return "".join(_escaped(c) if unicodedata.category(c) in _HIDDEN else c for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape(text: str) -> Markup:
    """Text as HTML, in an element or in a quoted attribute."""
    return Markup(html.escape(visible(text)))


def join(*children: object) -> Markup:
    """Children one after the other: markup as it is, text escaped, sequences flattened, None left out."""
    return Markup("".join(_flat(children)))


def _flat(children: Iterable[object]) -> Iterable[str]:
    for child in children:
        if isinstance(child, Markup):
            yield child
        elif isinstance(child, str):
            yield escape(child)
        elif isinstance(child, Iterable):
            yield from _flat(child)
        elif child is not None:
            yield escape(str(child))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element. `class_="a"` is class="a", `data_step=3` data-step="3"; None and False leave an attribute out."""
    given = "".join(map(_attribute, attributes.items()))
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{join(*children)}</{name}>")


def _attribute(item: tuple[str, object]) -> str:
    name, value = item[0].rstrip("_").replace("_", "-"), item[1]
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(_number(value))}"'


def _number(value: object) -> str:
    """Coordinates need no more than hundredths."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def code(text: str) -> Markup:
    """A name, digest or command: in type of one width, and with a direction of writing of its own."""
    return tag("code", tag("bdi", text))
