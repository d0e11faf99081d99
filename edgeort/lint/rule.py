"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")  # the gravest first

S = TypeVar("S")


@dataclass(frozen=True)
class Rule(Generic[S]):
    """One rule about subjects of the type S.

    `error`: a store or a loader refuses the file; `warning`: it is taken, and fails or costs in some place; `note`: to
    know. `why` is the rule of the store or the system behind it, `remedy` what to do. `check` gives a sentence for each
    way in which a subject breaks the rule, none where it keeps it.
    """

    id: str
    severity: Severity
    why: str
    remedy: str
    check: Callable[[S], Iterable[str]]


@dataclass(frozen=True)
class Finding:
    """A rule that was broken: by what (`where`, a path), and how (`what`)."""

    rule: Rule[Any]
    where: str
    what: str

    def to_dict(self) -> dict[str, str]:
        """As JSON takes it."""
        rule = self.rule
        return {
            "rule": rule.id,
            "severity": rule.severity,
            "where": self.where,
            "what": self.what,
            "why": rule.why,
            "remedy": rule.remedy,
        }


def listed(names: Iterable[str], most: int = 4, longest: int = 60) -> str:
    """`a, b, c and 12 more`, sorted; long names, as those of C++, are cut."""
    ordered = sorted(name if len(name) <= longest else f"{name[:longest]}..." for name in set(names))
    rest = len(ordered) - most
    return ", ".join(ordered[:most]) + (f" and {rest} more" if rest > 0 else "")
