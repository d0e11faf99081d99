"""From the document to the page."""

from __future__ import annotations

from edgeort.report.document import Document
from edgeort.report.markup import join
from edgeort.report.page import contents, page, section
from edgeort.report.sections import SECTIONS, header


def render(document: Document) -> str:
    """The page of a document: all of it comes from there, and so the page is the same for the same document."""
    bundle = document["bundle"]
    made = [section(anchor, heading, make(document)) for anchor, heading, make in SECTIONS]
    top = join(header(document), contents((anchor, heading) for anchor, heading, _ in SECTIONS))
    return page(
        f"{bundle['model']} on {bundle['device']}: edgeort", top, made, f"Made by edgeort {document['edgeort']}."
    )
