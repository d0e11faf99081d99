"""What was built, for what, by what, where it ran; and how to do it again."""

from __future__ import annotations

from typing import Any

from edgeort.report.document import Document
from edgeort.report.markup import Markup, code, join, tag
from edgeort.report.page import Column, commands, facts, table, unknown
from edgeort.report.units import NOT_KNOWN, count, number, size
from edgeort.values import Value


def origin(document: Document) -> Markup:
    """Device, conditions of the measurement, model, inputs and outputs, versions, digests."""
    bundle, found = document["bundle"], document["measurement"]
    target = bundle["target"]
    device: list[tuple[str, object]] = [
        ("profile", bundle["device"]),
        ("system", f"{target['os']} on {target['arch']}"),
        ("target", code(target["triple"])),
        ("ISA levels", ", ".join(target["isa"]) or "those of the engine"),
        ("threads", f"{bundle['threads']} by default"),
        ("memory limit", size(bundle["ram_limit"]) if bundle["ram_limit"] else "none"),
        ("layout", bundle["io_layout"]),
        ("needs", ", ".join(bundle["requirements"]) or "nothing beside the bundle"),
    ]
    return join(
        tag("h3", "Device"),
        facts(device),
        tag("h3", "Measurement"),
        _measurement(document, found),
        tag("h3", "Inputs and outputs"),
        _ports(bundle),
        tag("h3", "Versions and digests"),
        _versions(document),
    )


def _measurement(document: Document, found: dict[str, Any] | None) -> Markup:
    if found is None:
        return unknown(document["unknown"]["measurement"])
    cores = "not held to any" if found["cores"] is None else "CPU " + ", ".join(map(str, found["cores"]))
    busy = f"{NOT_KNOWN}: the system does not tell" if found["load"] is None else f"{number(found['load'])} threads"
    rows: list[tuple[str, object]] = [
        ("where", found["device"]),
        ("when", found["at"] or NOT_KNOWN),
        ("commit", code(found["commit"]) if found["commit"] else NOT_KNOWN),
        ("ISA level", found["isa"] or NOT_KNOWN),
        ("threads", str(found["threads"])),
        ("cores", cores),
        ("load before", busy),
        ("outputs", code(found["digest"])),
    ]
    if not found["is_real"]:
        rows.append(("times", "those of an emulator, which say nothing about the device"))
    return facts(rows)


def _ports(bundle: dict[str, Any]) -> Markup:
    columns = (Column("Name"), Column("Is"), Column("Type and shape"))
    rows = []
    for what in ("inputs", "outputs"):
        for one in bundle[what]:
            value = Value.from_dict(one)
            rows.append((code(value.name), what[:-1], value.text().removeprefix(f"{value.name}: ")))
    return table("What goes in and comes out", columns, rows)


def _versions(document: Document) -> Markup:
    bundle = document["bundle"]
    kernels = ", ".join(bundle["kernels"]) or "those of the engine"
    return facts(
        [
            ("edgeort", f"{bundle['edgeort']}; this page by {document['edgeort']}"),
            *((name, version) for name, version in sorted(bundle["tools"].items())),
            ("model", code(bundle["model_sha256"])),
            ("bundle", code(bundle["digest"])),
            (count(len(bundle["kernels"]), "kernel"), kernels),
        ]
    )


def reproduce(document: Document) -> Markup:
    """Commands."""
    return commands((row["what"], row["command"]) for row in document["reproduce"])
