"""Bundles and documents for the tests of reports."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from edgeort.bench import Measurement
from edgeort.bundle import Bundle, open_bundle, write_bundle
from edgeort.providers import Node
from edgeort.report import Document, as_json, render

# What a name may be to make trouble: tags, quotes, directions of writing, controls, halves of pairs, very long.
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>1</script>",
    "</title><b>",
    "a\u202egnp.exe",
    "\u2067שלום\u2069",
    "line\nfeed\x00\x1b[31m",
    "\ud800half",
    "&lt;not a tag&gt;",
    "<!--",
    "]]>",
    "{{7*7}}",
    "javascript:alert(1)",
    "x" * 4000,
    "",
    "  ",
    "日本語 é",
    "\\u003cscript\\u003e",
)


def rewritten(bundle: Bundle, folder: Path, **fields: Any) -> Bundle:
    """The same bundle with another manifest."""
    manifest = dataclasses.replace(bundle.manifest, files={}, **fields)
    contents = {name: bundle.folder / name for name in bundle.manifest.files}
    return open_bundle(write_bundle(folder, manifest, contents))


def many_nodes(n: int) -> tuple[Node, ...]:
    """Nodes with hostile names, each another."""
    return tuple(
        Node(
            f"{HOSTILE[at % len(HOSTILE)]}{at}",
            "Conv",
            "cpu",
            ("f32", "int8")[at % 2],
            HOSTILE[at % 7] if at % 3 == 0 else "",
        )
        for at in range(n)
    )


def _profile(nodes: tuple[Node, ...]) -> list[dict[str, Any]]:
    return [
        {
            "name": node.name,
            "op": node.op,
            "ms": 0.0 if at % 9 == 8 else 0.001 * (1 + at % 50),
            "skipped": at % 9 == 8,
            "run_of": at,
            "macs": 1000 * at,
            "gflops": 1.5,
            "share_of_peak": 0.25,
        }
        for at, node in enumerate(nodes)
    ]


def _memory(nodes: tuple[Node, ...]) -> list[dict[str, Any]]:
    return [
        {
            "name": node.name,
            "kind": ("tensor", "scratch", "threads", "body")[at % 4],
            "tensors": 1 - at % 2,
            "offset": 64 * (at % 100),
            "bytes": 64 * (1 + at % 7),
            "first": at,
            "last": min(at + at % 5, len(nodes)),
        }
        for at, node in enumerate(nodes)
    ]


def measured(nodes: tuple[Node, ...], **fields: Any) -> Measurement:
    """A measurement of nodes that nobody ran: for pages that no small model would fill."""
    times = [5 + 0.01 * (at % 37) for at in range(1000)]
    samples = [
        {"at_s": 0.5 * at, "mhz": 1500.0 - at, "governor": HOSTILE[0], "temperature_c": 50.0 + at} for at in range(20)
    ]
    told = {
        "device": HOSTILE[1],
        "is_real": True,
        "isa": "neon",
        "threads": 4,
        "load_ms": 1.0,
        "first_run_ms": 7.0,
        "latency_ms": {
            "runs": 1000,
            "min": 5.0,
            "mean": 5.2,
            "p50": 5.18,
            "p90": 5.33,
            "p99": 5.36,
            "std": 0.1,
            "low": 5.1,
            "high": 5.2,
        },
        "weights_bytes": 1000,
        "arena_bytes": 64 * 107,
        "peak_rss_bytes": 5 << 20,
        "digest": "0123456789abcdef",
        "outputs": [],
        "check": "passed",
        "profile": _profile(nodes),
        "latencies_ms": times,
        "samples": samples,
        "warmup_runs": 3,
        "memory": _memory(nodes),
    }
    return Measurement(**{**told, **fields})


def drawn(document: Document) -> str:
    """The page of a document as it is after it was written as JSON and read."""
    return render(json.loads(as_json(document)))


class Page(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def names(self) -> set[str]:
        """Names of elements."""
        return {tag for tag, _ in self.elements}

    def references(self) -> list[str]:
        """Whatever a browser could fetch or follow."""
        kinds = re.compile(r"(src|href|action|data|poster|srcset|xlink:href)$")
        return [value or "" for _, found in self.elements for name, value in found.items() if kinds.fullmatch(name)]
