"""python -m tests.readme: runs the commands of the README's `console` blocks and puts in what they print now."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
CONSOLE = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
# `edgeort` and `python` are those of this checkout and this interpreter, installed or not.
PRELUDE = f'python() {{ "{sys.executable}" "$@"; }}; edgeort() {{ python -m edgeort "$@"; }}\n'
COLUMNS = "100"


def commands(text: str) -> list[str]:
    """What stands after the prompts of the console blocks."""
    return [line[2:] for block in CONSOLE.findall(text) for line in block.splitlines() if line.startswith("$ ")]


def run(command: str, folder: Path) -> str:
    """What the command prints on stdout (a spinner, on stderr, goes away). RuntimeError when it fails."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": COLUMNS, "NO_COLOR": "1"}
    result = subprocess.run(
        ["bash", "-c", PRELUDE + command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise RuntimeError(f"{command}: exit status {result.returncode}\n{result.stdout}{result.stderr}")
    return "".join(f"{line.rstrip()}\n" for line in result.stdout.splitlines() if line.strip())


def main() -> None:
    """Rewrites the README. The commands run twice, so that the times are those of a warm cache."""
    text = README.read_text(encoding="utf-8")
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            printed = {command: run(command, Path(folder)) for command in commands(text)}

    def fresh(block: re.Match[str]) -> str:
        return "\n".join(f"$ {command}\n{printed[command]}" for command in commands(f"```console\n{block[0]}```"))

    README.write_text(CONSOLE.sub(fresh, text), encoding="utf-8")


if __name__ == "__main__":
    main()
