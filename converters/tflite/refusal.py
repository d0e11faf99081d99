"""Why a node is not written."""

from __future__ import annotations


class Refuse(Exception):
    """LiteRT has no operator for a node, nor a few that compute the same: the message says why."""


class Blocked(Refuse):
    """A node reads what a refused one would have written, so that nothing can be said about it."""
