"""The document and its page: nothing is lost, nothing is run, nothing is fetched, whatever the names are."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from pathlib import Path

import pytest

from edgeort.bundle import Bundle
from edgeort.devices import open_device
from edgeort.report import Findings, as_json, document, render, take
from edgeort.report.document import FORMAT
from edgeort.report.markup import visible
from edgeort.report.sections import SECTIONS
from edgeort.report.units import milliseconds, size
from tests.report.support import HOSTILE, Page, drawn, many_nodes, measured, rewritten

EVALUATION = {
    "where": "local",
    "task": "classification",
    "output": "logits",
    "samples": 40,
    "labelled": 40,
    "figures": [{"name": "top1", "value": 97.5, "unit": "%", "standard_error": 2.47, "note": "39 of 40"}],
    "judgements": [
        {"option": "--max-drop", "limit": 1.0, "figure": "top1", "value": 97.5, "is_kept": False, "excess": 96.5}
    ],
    "worst": [{"name": HOSTILE[0], "loss": "nan", "note": HOSTILE[5]}],
    "warnings": [HOSTILE[1]],
}
QUANTIZATION = {
    "precision": "int8",
    "budget": {"max_drop": 0.5, "min_agreement": None, "min_sqnr_db": 20.0},
    "method": HOSTILE[2],
    "samples": 30,
    "stay_float": dict.fromkeys(HOSTILE, "first layer"),
    "judged_on": "local",
    "judged_samples": 30,
    "task": "custom",
    "ledger": [
        {
            "layer": name,
            "alone_db": 12.5,
            "added_bytes": 1000 * at,
            "promoted": at % 2 == 0,
            "to": "float",
            "added_ms": None,
        }
        for at, name in enumerate(HOSTILE)
    ],
    "measured": [{"name": "sqnr_db", "value": 24.25, "unit": "dB", "standard_error": None, "note": "of y"}],
}
CANDIDATE = {
    "provider": "openvino",
    "chosen": False,
    "latency_ms": None,
    "predicted": False,
    "size_bytes": None,
    "peak_rss_bytes": None,
    "max_difference": None,
    "sqnr_db": None,
    "refusals": [{"node": HOSTILE[0], "op": "Conv", "reason": HOSTILE[1]}],
    "reason": HOSTILE[3],
}


@pytest.fixture(scope="module")
def hostile(digits: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A sound bundle whose every name makes trouble."""
    nodes = many_nodes(60)
    values = tuple(dataclasses.replace(value, name=HOSTILE[0]) for value in digits.manifest.inputs)
    return rewritten(
        digits,
        tmp_path_factory.mktemp("hostile") / "b",
        model=HOSTILE[10],  # a name that a file can have
        device=HOSTILE[1],
        nodes=nodes,
        inputs=values,
        quantization=QUANTIZATION,
        candidates=(CANDIDATE,),
        tools={HOSTILE[0]: HOSTILE[1]},
        requirements=(HOSTILE[3],),
        budgets={"latency_ms": 5.0, "size_kb": 1.0, "ram_mb": 64.0},
    )


def test_the_document_is_json_and_whole(digits: Bundle):
    with open_device(None, digits.manifest) as device:
        found = take(digits, device, runs=30)
    made = document(digits, Findings(found))
    assert json.loads(as_json(made)) == json.loads(json.dumps(made))
    assert made["format"] == FORMAT and made["bundle"]["digest"] == digits.manifest.digest
    assert [node["name"] for node in made["nodes"]] == [node.name for node in digits.manifest.nodes]
    assert sum(node["share"] for node in made["nodes"]) == pytest.approx(1)
    assert made["latency"]["latencies_ms"] == found.latencies_ms and len(found.latencies_ms) == 30
    assert made["measurement"]["check"] == "passed" and made["memory"]["arena_bytes"] == found.arena_bytes
    assert sum(row["size_bytes"] for row in made["sizes"]["sections"]) == digits.size_bytes
    assert sum(row["size_bytes"] for row in made["sizes"]["plan"]) == digits.artefact.stat().st_size
    assert not {"latency", "memory", "measurement"} & set(made["unknown"])
    sections = {row["section"]: row["size_bytes"] for row in made["sizes"]["sections"]}
    assert sections["library: runtime and kernels"] == digits.library.stat().st_size
    assert sections["harness"] == digits.harness.stat().st_size


def test_the_page_shows_what_the_document_says(digits: Bundle):
    with open_device(None, digits.manifest) as device:
        made = document(digits, Findings(take(digits, device, runs=30)))
    text = " ".join(Page(drawn(made)).text)
    for node in made["nodes"]:
        assert node["name"] in text
        assert node["skipped"] or milliseconds(node["ms"]) in text
    for key in ("p50", "p90", "p99", "mean", "min"):
        assert milliseconds(made["latency"]["summary"][key]) in text
    for row in (*made["sizes"]["sections"], *made["sizes"]["files"], *made["memory"]["blocks"]):
        assert size(row.get("size_bytes", row.get("bytes"))) in text
    for row in made["reproduce"]:
        assert row["command"] in text


def test_the_same_document_gives_the_same_page(hostile: Bundle):
    made = document(hostile, Findings(measured(hostile.manifest.nodes), evaluation=EVALUATION))
    assert drawn(made) == drawn(made) == render(json.loads(as_json(json.loads(as_json(made)))))


def test_hostile_names_are_text(hostile: Bundle):
    html = drawn(document(hostile, Findings(measured(hostile.manifest.nodes), evaluation=EVALUATION)))
    html.encode("utf-8")
    read = Page(html)
    assert [tag for tag, _ in read.elements].count("script") == 1 and [t for t, _ in read.elements].count("title") > 1
    assert not read.names() & {"img", "b", "iframe", "object", "embed", "link", "base", "form", "audio", "video"}
    assert not [name for _, found in read.elements for name in found if name.startswith("on") or name == "style"]
    assert all(reference.startswith("#") for reference in read.references())
    text = "\0".join(read.text)
    for node in hostile.manifest.nodes:
        assert visible(node.name) in text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\ud800-\udfff\x00-\x08]", html)


def test_only_its_own_style_and_script_may_be_used(hostile: Bundle):
    html = drawn(document(hostile, Findings(measured(hostile.manifest.nodes))))
    policy = next(found["content"] for tag, found in Page(html).elements if "http-equiv" in found) or ""
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy
    for name in ("style", "script"):
        inside = re.search(f"<{name}>(.*?)</{name}>", html, re.DOTALL)
        assert inside
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_ten_thousand_nodes(digits: Bundle, tmp_path: Path):
    nodes = many_nodes(10_000)
    bundle = rewritten(digits, tmp_path / "b", nodes=nodes)
    html = drawn(document(bundle, Findings(measured(nodes))))
    read = Page(html)
    assert len(html) < 15_000_000  # of which the longest names are more than half
    rows = [tag for tag, _ in read.elements].count("tr")
    assert rows > 20_000  # all nodes and all blocks are there
    marks = [found for tag, found in read.elements if tag == "rect" and "block" in (found.get("class") or "")]
    assert 1000 < len(marks) <= 1500  # but only the largest are drawn
    assert "The 1\u202f500 largest of 10\u202f000 blocks are drawn." in html
    before = html[: html.index("<details")]
    assert before.count("<tr>") < 100  # what is not folded up stays short


@pytest.mark.parametrize("found", [None, "emulated"])
def test_what_is_not_known_is_said(hostile: Bundle, found: str | None):
    emulated = measured(hostile.manifest.nodes, device="emulated (cortex-a72)", is_real=False)
    made = document(hostile, Findings(emulated if found else None, not_measured="this machine cannot run it"))
    assert made["latency"] is None and made["unknown"]["latency"] and made["unknown"]["evaluation"]
    assert all(node["ms"] is None for node in made["nodes"])
    assert (made["memory"] is None) == (found is None)
    assert [row["is_kept"] for row in made["budgets"] if row["by"] == "profile"] == [None, False, None]
    text = " ".join(Page(drawn(made)).text)
    assert visible(made["unknown"]["latency"]) in text and "not judged" in text
    assert ("this machine cannot run it" in text) == (found is None)
    assert ("its times are not, and are not shown" in text) == (found is not None)


def test_an_empty_cell_of_times_is_never_left(hostile: Bundle):
    """Every section says something even of a bundle of which next to nothing is known."""
    html = drawn(document(hostile, Findings()))
    for anchor, heading, _ in SECTIONS:
        inside = re.search(f'<section id="{anchor}".*?</section>', html, re.DOTALL)
        assert inside and len(re.sub("<.*?>", "", inside[0])) > len(heading) + 20, anchor


def test_odd_times_are_said_to_be(hostile: Bundle):
    found = measured(hostile.manifest.nodes)
    usual = drawn(document(hostile, Findings(found)))
    assert "More than the peak" not in usual and "something else ran" not in usual
    fast = [{**row, "share_of_peak": 1.2, "ms": 10 * row["ms"]} for row in found.profile]
    odd = drawn(document(hostile, Findings(dataclasses.replace(found, profile=fast))))
    assert "More than the peak" in odd
    assert "2.30 times the median latency: something else ran" in odd  # 11.91 ms of nodes, 5.18 ms the median
    untold = [{**row, "gflops": None, "share_of_peak": None} for row in found.profile]
    told = drawn(document(hostile, Findings(dataclasses.replace(found, profile=untold))))
    assert "Speeds are not known" in told


def test_every_budget_has_its_verdict(hostile: Bundle):
    made = document(hostile, Findings(measured(hostile.manifest.nodes), evaluation=EVALUATION))
    found = {(row["budget"], row["by"]): (row["measured"], row["is_kept"]) for row in made["budgets"]}
    assert found[("latency_ms", "profile")] == (5.18, False)
    assert found[("ram_mb", "profile")] == (5.0, True)
    assert found[("size_kb", "profile")][1] is False
    assert found[("max_drop", "validate")] == (97.5, False)
    assert found[("max_drop", "build")] == (None, None)  # nothing in the manifest measured it
    assert found[("min_sqnr_db", "build")] == (24.25, True)
    text = " ".join(Page(drawn(made)).text)
    assert text.count("✓ kept") == 2 and text.count("✗ not kept") == 3


def test_headings_and_tables_are_for_screen_readers_too(hostile: Bundle):
    read = Page(drawn(document(hostile, Findings(measured(hostile.manifest.nodes), evaluation=EVALUATION))))
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    assert all(found.get("scope") in ("col", "row") for tag, found in read.elements if tag == "th")
    images = [found for tag, found in read.elements if tag == "svg" and found.get("role") == "img"]
    ids = {found["id"] for _, found in read.elements if found.get("id")}
    assert len(images) >= 5
    for image in images:
        assert set((image["aria-labelledby"] or "").split()) <= ids
    assert [tag for tag, _ in read.elements].count("caption") == [tag for tag, _ in read.elements].count("table")
    assert len(ids) == len([1 for _, found in read.elements if found.get("id")])  # no id twice


def test_it_is_built_again_with_the_options_that_stand_in_the_bundle(digits: Bundle):
    """tests/pipeline/test_rebuilding.py runs the command."""
    row = document(digits, Findings())["reproduce"][0]
    assert row["command"] == f"edgeort verify {digits.path} --rebuild MODEL.onnx"
    assert digits.manifest.model_sha256 in row["what"]


@pytest.mark.parametrize(
    ("read", "words"),
    [
        ({"precision": "float16"}, ""),
        ({"precision": "int8", "data": {}}, " --data PATH"),
        ({"eval_data": {}, "labels": {}}, " --eval-data PATH --labels PATH"),
        ({"eval_data": {}, "labels": "folders"}, " --eval-data PATH"),
    ],
)
def test_files_that_a_build_read_follow(digits: Bundle, read: dict[str, object], words: str):
    """As `edgeort verify` wants them: none that it did not read."""
    told = {"precision": "int8", "budget": {}}
    manifest = dataclasses.replace(digits.manifest, options={"accuracy": read}, quantization=told)
    row = document(dataclasses.replace(digits, manifest=manifest), Findings())["reproduce"][0]
    assert row["command"] == f"edgeort verify {digits.path} --rebuild MODEL.onnx{words}"
