"""What the benchmarks print alike: where and when they ran, and JSON beside the table."""

from __future__ import annotations

import datetime
import json
import os
import platform
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from edgeort import device_profiles, toolchain
from edgeort.errors import OutputError


def machine() -> dict[str, Any]:
    """The machine, how busy it is as the benchmark begins, and the date."""
    host = device_profiles.load("host")
    return {
        "cpu": host.device.title,
        "cores": host.cpu.cores,
        "isa": [level for level in host.cpu.isa if level in toolchain.LEVELS],
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "date": datetime.date.today().isoformat(),
    }


def describe(where: dict[str, Any]) -> str:
    """`machine()` in a line."""
    load = "" if where["load"] is None else f", load {where['load']} at the start"
    return f"{where['cpu']}, {where['cores']} cores, {where['system']}{load}, {where['date']}"


def write_json(path: Path | None, result: dict[str, Any]) -> None:
    """Writes the result when a file is asked for."""
    if path is None:
        return
    try:
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


_CONSOLE = Console()


def new_table(title: str, *columns: str) -> Table:
    """A table whose first column is text and whose others are numbers; Markdown where standard output is a file."""
    made = Table(title=title, box=box.HEAVY_HEAD if _CONSOLE.is_terminal else box.MARKDOWN)
    for index, column in enumerate(columns):
        made.add_column(column, justify="right" if index else "left", no_wrap=not _CONSOLE.is_terminal)
    return made


def errors() -> Console:
    """Standard error, for progress."""
    return Console(stderr=True)


def show(table: Table, *lines: str) -> None:
    """Prints the table, and the lines below it."""
    out = _CONSOLE if _CONSOLE.is_terminal else Console(width=1000)
    out.print(table)
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)
