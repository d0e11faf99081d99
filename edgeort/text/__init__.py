"""From text to the arrays that transformers take, by the same code here and on the device."""

from __future__ import annotations

from edgeort.text.wordpiece import WordPiece

__all__ = ["WordPiece"]
