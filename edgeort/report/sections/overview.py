"""The top of the page: what it is about, and the figures that matter most."""

from __future__ import annotations

from edgeort.report.document import Document
from edgeort.report.markup import Markup, code, join, tag
from edgeort.report.page import Tile, Verdict, tiles
from edgeort.report.units import count, milliseconds, size


def header(document: Document) -> Markup:
    """Title, subtitle, a caution where one is due, tiles."""
    bundle, found = document["bundle"], document["measurement"]
    target = bundle["target"]
    where = "not run" if found is None else f"ran {_where(found['device'])}"
    subtitle = f"{bundle['provider']} provider, {target['os']} on {target['arch']}, {where}. Bundle "
    caution = None
    if found is not None and not found["is_real"]:
        said = "Emulated: outputs and memory are those of the device; its times are not, and are not shown."
        caution = tag("p", said, class_="caution")
    heading = tag("h1", tag("bdi", bundle["model"]), " on ", tag("bdi", bundle["device"]))
    figures = [_latency(document), _load(document), _memory(document), _size(document), _check(document)]
    return join(heading, tag("p", subtitle, code(bundle["path"])), caution, tiles(figures))


def _where(device: str) -> str:
    return "on this machine" if device == "local" else device if device.startswith("emulated") else f"on {device}"


def _verdict(document: Document, budget: str) -> Verdict:
    kept = [row["is_kept"] for row in document["budgets"] if row["budget"] == budget]
    return "bad" if False in kept else "good" if True in kept else "plain"


def _latency(document: Document) -> Tile:
    found = document["latency"]
    if found is None:
        told = [row["latency_ms"] for row in document["candidates"] if row["chosen"] and row["predicted"]]
        note = (
            f"predicted {milliseconds(told[0])}, by the profile's rates" if told else "see Latency for what would tell"
        )
        return Tile("Latency, median", "not known", note)
    summary = found["summary"]
    note = f"p90 {milliseconds(summary['p90'])}, p99 {milliseconds(summary['p99'])}, {count(summary['runs'], 'run')}"
    return Tile("Latency, median", milliseconds(summary["p50"]), note, _verdict(document, "latency_ms"))


def _load(document: Document) -> Tile:
    found = document["latency"]
    if found is None:
        return Tile("Load", "not known", "not measured on the device")
    return Tile("Load", milliseconds(found["load_ms"]), f"first run {milliseconds(found['first_run_ms'])}")


def _memory(document: Document) -> Tile:
    found = document["measurement"]
    if found is None:
        return Tile("Peak memory", "not known", "nothing was measured")
    if found["arena_bytes"] == 0 and found["is_real"]:  # another engine, which does not tell
        return Tile("Peak memory", size(found["peak_rss_bytes"]), "of the process", _verdict(document, "ram_mb"))
    parts = f"weights {size(found['weights_bytes'])}"
    if not found["is_real"]:
        return Tile("Arena", size(found["arena_bytes"]), f"of activations; {parts}")
    note = f"of the process; arena {size(found['arena_bytes'])}, {parts}"
    return Tile("Peak memory", size(found["peak_rss_bytes"]), note, _verdict(document, "ram_mb"))


def _size(document: Document) -> Tile:
    largest = document["sizes"]["sections"][0]
    note = f"{largest['section']}: {size(largest['size_bytes'])}"
    return Tile("Bundle", size(document["sizes"]["total_bytes"]), note, _verdict(document, "size_kb"))


def _check(document: Document) -> Tile:
    found = document["measurement"]
    if found is None or found["check"] is None:
        return Tile("Golden outputs", "not checked", "the harness did not run")
    if found["check"] != "passed":
        return Tile("Golden outputs", found["check"], "see edgeort validate", "bad")
    near = document["bundle"]["min_sqnr_db"]
    how = "the same bytes as the build's" if near is None else f"at least {near:g} dB from the build's"
    return Tile("Golden outputs", "passed", how, "good")
