"""Chromium without a window: pages as people see them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# The contrast of every text with what is behind it (WCAG 2.2, 1.4.3), the worst of each class; large text needs less.
CONTRAST = """
const channel = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = (c) => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
const colour = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
const found = {};
for (const e of document.querySelectorAll("body *")) {
  if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
  if (["SCRIPT", "TITLE", "DESC", "title", "desc"].includes(e.tagName)) continue;
  const style = getComputedStyle(e), svg = e.namespaceURI.endsWith("svg");
  const fore = colour(svg ? style.fill : style.color);
  let at = e, back = [0, 0, 0, 0];
  while (at && back[3] === 0) { back = colour(getComputedStyle(at).backgroundColor); at = at.parentElement; }
  const [a, b] = [light(fore), light(back)].sort((x, y) => y - x);
  const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  const name = `${e.tagName} ${svg ? e.className.baseVal : e.className}`;
  const ratio = (a + 0.05) / (b + 0.05) * (large ? 1.5 : 1);
  found[name] = Math.min(found[name] ?? 99, ratio);
}
return found;"""


class Browser:
    """One window. `sees` is what the page asked the network for, `says` the console's errors and warnings."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def show(self, page: Path, *, width: int = 1280, dark: bool = False, media: str = "screen") -> None:
        """Opens a page in a window of that width."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": scheme})
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get_log("performance"), self.driver.get_log("browser")
        self.driver.get(page.resolve().as_uri())

    def run(self, script: str, *arguments: object) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def sees(self) -> list[str]:
        """Addresses that were asked for since `show`."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def says(self) -> list[str]:
        """Messages of the console since `show`."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def style(self, selector: str, name: str) -> str:
        """A computed style of the first element."""
        return self.run("return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]", selector, name)

    def texts(self, selector: str) -> list[str]:
        """The text of all elements, shown or not."""
        return self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector)

    def click(self, selector: str) -> None:
        """A click by the mouse on the first element."""
        from selenium.webdriver.common.by import By

        found = self.driver.find_element(By.CSS_SELECTOR, selector)
        self.run("arguments[0].scrollIntoView({behavior: 'instant', block: 'center'})", found)
        found.click()


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser for tests, which are skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install '.[test]'")
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        pytest.skip("needs a browser: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(programs[1]))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
