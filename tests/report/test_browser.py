"""The page in a real browser: what it shows, what it asks for, how it looks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeort.bundle import Bundle
from edgeort.devices import open_device
from edgeort.report import Findings, document, save, take
from edgeort.report.markup import visible
from edgeort.report.scales import from_zero
from edgeort.report.sections import SECTIONS
from edgeort.report.sections.memory import TALL
from edgeort.report.units import milliseconds, size
from tests.report.browser import CONTRAST, Browser, open_browser
from tests.report.support import HOSTILE, many_nodes, measured, rewritten

pytestmark = pytest.mark.slow

Document = dict[str, Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(digits: Bundle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Document]:
    """The report of the sample, measured here, and the same as JSON."""
    folder = tmp_path_factory.mktemp("page")
    with open_device(None, digits.manifest) as device:
        made = document(digits, Findings(take(digits, device, runs=100)))
    for name in ("r.html", "r.json"):
        save(made, folder / name)
    return folder / "r.html", json.loads((folder / "r.json").read_text())


@pytest.fixture(scope="module")
def hostile(digits: Bundle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Document]:
    """Some hundred nodes with hostile names."""
    return _hostile(digits, tmp_path_factory.mktemp("hostile"), 200)


def _hostile(digits: Bundle, folder: Path, n: int) -> tuple[Path, Document]:
    nodes = many_nodes(n)
    bundle = rewritten(digits, folder / "b", nodes=nodes, model=HOSTILE[1], budgets={"latency_ms": 1.0, "ram_mb": 64.0})
    made = document(bundle, Findings(measured(nodes)))
    save(made, folder / "r.html")
    return folder / "r.html", made


@pytest.fixture(scope="module")
def large(digits: Bundle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Document]:
    """Ten thousand nodes with hostile names."""
    return _hostile(digits, tmp_path_factory.mktemp("large"), 10_000)


def test_it_asks_for_nothing_and_says_nothing(browser: Browser, page: tuple[Path, Document]):
    browser.show(page[0])
    assert browser.sees() == [page[0].resolve().as_uri()]
    assert browser.says() == []
    assert browser.run("return document.title").startswith("digits on host")


def test_its_policy_stops_what_would_be_fetched_or_run(browser: Browser, page: tuple[Path, Document]):
    browser.show(page[0])
    browser.run("""const i = new Image(); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i);
        const s = document.createElement('script'); s.textContent = 'window.ran = true'; document.body.append(s);""")
    assert browser.run("return window.ran") is None
    assert sum("Content Security Policy" in message for message in browser.says()) == 2


def test_charts_have_their_marks(browser: Browser, page: tuple[Path, Document]):
    browser.show(page[0])
    made = page[1]
    marks = (
        "return [...document.querySelectorAll('#latency figure')].map((f) => f.querySelectorAll(arguments[0]).length)"
    )
    histogram, course = browser.run(marks, "rect.mark")[0], browser.run(marks, "circle")[1]
    assert histogram == sum(count > 0 for count in made["latency"]["histogram"]["counts"])
    assert course == len(made["latency"]["along"]) == 100
    blocks = browser.run(
        "return [...document.querySelectorAll('#memory rect.block')].map((r) => r.getBoundingClientRect().toJSON())"
    )
    assert len(blocks) == len(made["memory"]["blocks"])
    assert all(block["width"] > 0 and block["height"] > 0 for block in blocks)
    sections = browser.run("return document.querySelectorAll('#sizes figure rect.mark').length")
    assert sections == min(len(made["sizes"]["sections"]), 6)


def test_a_block_lies_where_the_runtime_put_it(browser: Browser, page: tuple[Path, Document]):
    """Places on the screen are those of the layout: offset and size upwards, steps across."""
    browser.show(page[0])
    arena = page[1]["memory"]
    found = browser.run("""return [...document.querySelectorAll('#memory rect.block')].map((r) => {
        const b = r.getBoundingClientRect(), p = r.closest('svg').getBoundingClientRect();
        const base = document.querySelector('#memory line.base').getBoundingClientRect().bottom;
        return [r.firstChild.textContent, (b.left - p.left) / p.width, b.width / p.width, base - b.top]; })""")
    steps, byte = len(arena["use_bytes"]), TALL / from_zero([arena["laid_out_bytes"]]).high
    for block in arena["blocks"]:
        end = min(block["last"], steps - 1) + 1
        wanted = (block["first"] / steps, (end - block["first"]) / steps, byte * (block["offset"] + block["bytes"]))
        here = [row for row in found if row[0].startswith(f"{visible(block['name'])}: ")]
        assert any(row[1:] == pytest.approx(wanted, abs=2e-3, rel=2e-3) for row in here), (block, wanted, here)


def test_numbers_are_those_of_the_json(browser: Browser, page: tuple[Path, Document]):
    browser.show(page[0])
    made = page[1]
    summary = made["latency"]["summary"]
    assert browser.texts(".tile .figure")[0] == milliseconds(summary["p50"])
    assert browser.texts(".tile .figure")[2] == size(made["measurement"]["peak_rss_bytes"])
    facts = dict(zip(browser.texts("#latency .facts dt"), browser.texts("#latency .facts dd"), strict=True))
    assert facts["p90"] == milliseconds(summary["p90"]) and facts["mean"] == milliseconds(summary["mean"])
    rows = browser.run("""return [...document.querySelectorAll('#nodes table.sortable tbody tr')].map((r) => {
        const [name, step, , , , , ms, share] = [...r.cells];
        return [name.textContent, ...[step, ms, share].map((cell) => Number(cell.dataset.value))]; })""")
    told = [
        [node["name"], node["index"], 0 if node["skipped"] else node["ms"], node["share"]] for node in made["nodes"]
    ]
    assert rows == told
    files = browser.run("""return [...document.querySelectorAll('#sizes details tbody tr')].map((r) =>
        [r.cells[0].textContent, Number(r.cells[1].dataset.value), r.cells[2].textContent])""")
    assert files == [[row["path"], row["size_bytes"], row["sha256"]] for row in made["sizes"]["files"]]


def test_details_open_sort_and_filter(browser: Browser, page: tuple[Path, Document]):
    browser.show(page[0])
    names = [node["name"] for node in page[1]["nodes"]]
    rows = "[...document.querySelectorAll('#nodes details tbody tr')]"
    shown = f"return {rows}.filter((r) => r.checkVisibility()).map((r) => r.cells[0].textContent)"
    closed = browser.run(
        "return document.querySelector('#nodes details tbody tr').checkVisibility({contentVisibilityAuto: true})"
    )
    assert not closed
    browser.click("#nodes details summary")
    assert browser.run(shown) == names
    browser.run(
        "[...document.querySelectorAll('#nodes details th button')].find((b) => b.textContent === 'Time').click()"
    )
    by_time = [
        node["name"] for node in sorted(page[1]["nodes"], key=lambda node: -(0 if node["skipped"] else node["ms"]))
    ]
    assert browser.run(shown) == by_time
    assert browser.run("return document.querySelector('#nodes details th[aria-sort]').textContent") == "Time"
    browser.run(
        "[...document.querySelectorAll('#nodes details th button')].find((b) => b.textContent === 'Node').click()"
    )
    assert browser.run(shown)[0] != by_time[0] or sorted(names)[0] == by_time[0]
    browser.click("#memory details summary")
    blocks = [block["name"] for block in page[1]["memory"]["blocks"]]
    word = blocks[-1]
    browser.run(f"""const f = document.querySelector('#memory details input'); f.value = {json.dumps(word)};
        f.dispatchEvent(new Event('input'))""")
    kept = [name for name in blocks if word in name]
    found = browser.run("""return [...document.querySelectorAll('#memory details tbody tr')]
        .filter((r) => !r.hidden).map((r) => r.cells[0].textContent)""")
    assert sorted(found) == sorted(kept) and 0 < len(kept) < len(blocks)
    assert browser.texts("#memory details [role=status]") == [f"({len(kept)} of {len(blocks)})"]


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_can_be_read(
    browser: Browser, page: tuple[Path, Document], hostile: tuple[Path, Document], dark: bool
):
    for path in (page[0], hostile[0]):
        browser.show(path, dark=dark)
        found = browser.run(CONTRAST)
        assert len(found) > 20
        assert {name: ratio for name, ratio in found.items() if ratio < 4.5} == {}


def test_dark_pages_are_dark(browser: Browser, page: tuple[Path, Document]):
    looks = {}
    for dark in (False, True):
        browser.show(page[0], dark=dark)
        looks[dark] = [
            browser.style("body", "backgroundColor"),
            browser.style("body", "color"),
            browser.style("rect.c1", "fill"),
        ]
    assert all(light != dark for light, dark in zip(looks[False], looks[True], strict=True))
    sums = {dark: sum(map(int, found[0][4:-1].split(","))) for dark, found in looks.items()}
    assert sums[False] > 650 and sums[True] < 120


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_it_fits_every_width(browser: Browser, page: tuple[Path, Document], hostile: tuple[Path, Document], width: int):
    for path in (page[0], hostile[0]):
        browser.show(path, width=width)
        # A scroll bar, where there is one, takes some of the width.
        assert browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def test_paper_is_white_and_without_navigation(browser: Browser, page: tuple[Path, Document]):
    browser.show(page[0], dark=True, media="print")
    assert browser.style("body", "backgroundColor") == "rgb(255, 255, 255)"
    assert browser.style("body", "color") == "rgb(0, 0, 0)" or browser.style("body", "color") == "rgb(21, 24, 29)"
    assert browser.style("nav", "display") == "none"
    made = browser.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert len(made["data"]) > 20_000


def test_ten_thousand_hostile_nodes(browser: Browser, large: tuple[Path, Document]):
    browser.show(large[0])
    assert browser.sees() == [large[0].resolve().as_uri()] and browser.says() == []
    assert browser.run("return document.scripts.length") == 1
    assert browser.texts("h1") == [f"{HOSTILE[1]} on host"]
    names = browser.run(
        "return [...document.querySelectorAll('#nodes table.sortable tbody tr')].map((r) => r.cells[0].textContent)"
    )
    assert names == [visible(node["name"]) for node in large[1]["nodes"]]
    assert browser.texts("main h2") == [heading for _, heading, _ in SECTIONS]
    # Opening and filtering all of them takes no more than people wait for.
    took = browser.run("""const start = performance.now(), all = document.querySelector('#nodes details:last-of-type');
        const field = all.querySelector('input'); all.open = true; field.value = '9876';
        field.dispatchEvent(new Event('input')); document.body.getBoundingClientRect();
        return performance.now() - start""")
    assert took < 5000
    left = browser.run("""return [...document.querySelectorAll('#nodes details:last-of-type tbody tr')]
        .filter((r) => !r.hidden).map((r) => r.cells[0].textContent)""")
    assert names[9876] in left and len(left) < 10
