"""What a build decided and measured, as one page, and the same as JSON.

`document` collects it, `render` draws the page from that alone, `save` writes either.
"""

from __future__ import annotations

from edgeort.report.document import Document, Findings, document
from edgeort.report.measuring import take
from edgeort.report.rendering import render
from edgeort.report.results import read_results
from edgeort.report.writing import as_json, check_writable, save

__all__ = ["Document", "Findings", "as_json", "check_writable", "document", "read_results", "render", "save", "take"]
