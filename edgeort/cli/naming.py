"""How --help names things: arguments in capital letters, as the usage line has them, and no type for a flag."""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup


class Command(TyperCommand):
    """Every command is one."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its arguments and options, --help among them."""
        return _named(super().get_params(ctx))


class Group(TyperGroup):
    """The same for what holds commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its options, --help among them."""
        return _named(super().get_params(ctx))


def _named(params: list[Any]) -> list[Any]:
    for one in params:
        if isinstance(one, TyperArgument):
            one.metavar = one.metavar or (one.name or "").upper()
        elif one.is_flag:
            one.metavar = ""
    return params
