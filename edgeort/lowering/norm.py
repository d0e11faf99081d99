"""Normalisations."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from edgeort.lowering.context import Group, Lowering

HANDLERS: dict[tuple[str, str], Callable[[Lowering, ir.Node, Group], None]] = {}
