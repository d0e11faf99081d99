"""The sections of the page, each a function from the document to markup. SECTIONS is the order."""

from __future__ import annotations

from collections.abc import Callable

from edgeort.report.document import Document
from edgeort.report.markup import Markup
from edgeort.report.sections.accuracy import accuracy
from edgeort.report.sections.budgets import budgets
from edgeort.report.sections.latency import latency
from edgeort.report.sections.memory import memory
from edgeort.report.sections.nodes import nodes
from edgeort.report.sections.origin import origin, reproduce
from edgeort.report.sections.overview import header
from edgeort.report.sections.providers import providers
from edgeort.report.sections.sizes import sizes

# Anchor, heading, what makes it.
SECTIONS: tuple[tuple[str, str, Callable[[Document], Markup]], ...] = (
    ("budgets", "Budgets", budgets),
    ("latency", "Latency", latency),
    ("nodes", "Nodes", nodes),
    ("memory", "Memory", memory),
    ("providers", "Providers", providers),
    ("accuracy", "Accuracy", accuracy),
    ("sizes", "Sizes", sizes),
    ("origin", "Device and versions", origin),
    ("reproduce", "How to reproduce", reproduce),
)

__all__ = ["SECTIONS", "header"]
