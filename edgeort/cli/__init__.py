"""The command line. One thin module per command; nothing heavy is imported before a command runs."""

from __future__ import annotations


def main() -> None:
    """The program `edgeort`."""
    from edgeort.cli.app import app

    app()


__all__ = ["main"]
