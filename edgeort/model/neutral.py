"""x + 0, x - 0, x * 1 and x / 1 are x, where the scalar is exactly that number.

onnxscript's own rules (0.7) take any number within 1e-8 of zero for zero, and so lose the 1e-10 that stands before a
logarithm, a root or a division, and any number within 1e-5 of one for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxscript.rewriter import RewriteRule


def neutral_rules() -> list[RewriteRule]:
    """Rewrite rules of onnxscript, which is slow to import."""
    from onnxscript.rewriter.pattern import Constant, RewriteRule

    zero, one = (Constant(value, rel_tol=0.0, abs_tol=0.0) for value in (0, 1))

    def add(op: Any, x: Any) -> Any:
        return op.Add(x, zero)

    def subtract(op: Any, x: Any) -> Any:
        return op.Sub(x, zero)

    def multiply(op: Any, x: Any) -> Any:
        return op.Mul(x, one)

    def divide(op: Any, x: Any) -> Any:
        return op.Div(x, one)

    def identity(op: Any, x: Any) -> Any:
        return op.Identity(x)

    either_side = (RewriteRule(pattern, identity) for pattern in (add, multiply))
    right = (RewriteRule(pattern, identity) for pattern in (subtract, divide))
    return [*(rule for both in either_side for rule in both.commute()), *right]
