"""A local server that keeps nothing in the browser's cache and remembers what was asked for, and Chromium before it."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from edgeort.errors import MissingExtraError


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder."""

    extensions_map = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = (
        True  # heads and bodies are written apart: else each small file waits 40 ms for an acknowledgement
    )

    def __init__(self, asked: list[str], *rest: Any, **options: Any) -> None:
        self.asked = asked
        super().__init__(*rest, **options)

    def end_headers(self) -> None:
        """Nothing is kept, neither files nor compiled code."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """As servers do it, without Python in between."""
        outputfile.flush()
        self.connection.sendfile(source)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Remembers, and prints nothing."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """The path."""
        self.asked.append(self.path)


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of the folder, and the paths that were asked for, which the list gets as they come."""
    asked: list[str] = []
    handler = functools.partial(Handler, asked, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def chromium() -> Iterator[Any]:
    """A driver of Chromium without a window. MissingExtraError where there is none."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        raise MissingExtraError("Chromium is not installed", hint="apt install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(programs[0])
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(programs[1]))
    driver.set_script_timeout(300)
    try:
        yield driver
    finally:
        driver.quit()
