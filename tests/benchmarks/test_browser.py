"""The contest in Chromium: what counts as code, and a whole one of small size where everything it needs is here."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from benchmarks.browser import engine
from benchmarks.browser.__main__ import ENGINES, code_of, contest
from benchmarks.models import find
from edgeort.cache import cache_dir
from edgeort.errors import MissingExtraError
from tests.browser.support import node


def test_code_is_what_was_fetched_of_it(tmp_path: Path) -> None:
    files = {"bundle/lib/a.js": b"a" * 100, "bundle/lib/b.wasm": b"b" * 10, "ort/c.mjs": b"c", "model.onnx": b"d" * 9}
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    asked = ["/bundle/lib/a.js", "/bundle/lib/a.js", "/ort/c.mjs", "/model.onnx", "/task.json"]
    packed = sum(len(gzip.compress(files[name], 9)) for name in ("bundle/lib/a.js", "ort/c.mjs"))
    assert code_of(tmp_path, asked) == (101, packed)


def test_without_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEORT_CACHE", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(MissingExtraError, match="onnxruntime-web@.* comes from npm"):
        engine.folder()


@pytest.mark.slow
def test_a_contest() -> None:
    node()
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        pytest.skip("needs a browser: apt install chromium chromium-driver")
    if not (cache_dir() / "benchmarks" / engine.PACKAGE).exists():
        pytest.skip("onnxruntime-web is not in the cache: python -m benchmarks.browser")
    entrants, version = contest(find("digits"), 1, 1)
    assert [one.name for one in entrants] == list(ENGINES) and version
    assert all(
        len(one.first_loads_ms) == len(one.next_loads_ms) == 1 and one.latencies_ms and one.difference < 1e-4
        for one in entrants
    )
    assert [one.level for one in entrants] == [
        "wasm_relaxed",
        "wasm",
        f"onnxruntime-web {engine.PACKAGE.split('@')[1]}",
    ]
    assert entrants[-1].code_bytes > 20 * entrants[0].code_bytes
