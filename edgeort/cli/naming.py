"""How commands name things: in --help arguments in capital letters, as the usage line has them, and no type for a flag;
what is missing with what it is.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup


class Command(TyperCommand):
    """Every command is one."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its arguments and options, --help among them."""
        return _named(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What is left of `args`. A parameter that is missing is refused with its help, where to look among it."""
        try:
            return list(super().parse_args(ctx, args))
        except Exception as error:  # MissingParameter, which is Click's or Typer's own by Typer's version
            param = getattr(error, "param", None)
            if param is not None and getattr(error, "message", None) == "":
                error.message = getattr(param, "help", None) or ""  # type: ignore[attr-defined]
            raise


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
