"""The command line. One thin module per command; nothing heavy is imported before a command runs."""

from __future__ import annotations

import sys


def main() -> None:
    """The program `edgeort`."""
    try:
        from edgeort.cli.app import app
    except KeyboardInterrupt:  # commands have their own way with it (common.py)
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    app()


__all__ = ["main"]
