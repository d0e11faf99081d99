"""What `edgeort doctor` says is so, here and without what it names."""

from __future__ import annotations

import json
import shutil

import pytest

from edgeort import checkup
from edgeort.devices import node
from edgeort.providers import PROVIDERS
from edgeort.providers.openvino import OpenVino
from tests.cli.support import call


def test_every_provider_has_a_row_and_what_is_missing_has_a_remedy():
    found = checkup.examine()
    assert {f"provider {one.name}" for one in PROVIDERS} <= {row.what for row in found}
    assert next(row for row in found if row.what == "compiler").works
    assert all(row.works or row.remedy for row in found)


def test_what_is_gone_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda name, **_: None)
    monkeypatch.setattr(OpenVino, "missing", lambda self: "openvino is not installed: pip install x")
    rows = {row["what"]: row for row in json.loads(call("doctor", "--json").stdout)}
    assert not rows["Arm bundles, emulated"]["works"] and "apt install" in rows["Arm bundles, emulated"]["remedy"]
    assert not rows["the .aar of edgeort package --android"]["works"]
    gone = rows["provider openvino"]
    assert (gone["works"], gone["detail"], gone["remedy"]) == (False, "openvino is not installed", "pip install x")


def test_a_missing_node_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(node, "find", lambda: None)
    (row,) = (row for row in checkup.examine() if row.what == "browsers' bundles, run here")
    assert not row.works and row.remedy is not None and "edgeort[browser]" in row.remedy
