"""The vocabulary of a model that reads text, for the tokenizer in the bundle's library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeort.errors import InputError

PLACE = "tokenizer/vocab.txt"
NEEDED = ("[UNK]", "[CLS]", "[SEP]")


@dataclass(frozen=True)
class Vocabulary:
    """A WordPiece vocabulary: UTF-8, a token a line, the first has id 0. Unless `cased`, text is put in lower case."""

    path: Path
    cased: bool = False

    def check(self) -> None:
        """InputError when the file cannot be read or is no vocabulary."""
        try:
            tokens = set(self.path.read_text(encoding="utf-8").splitlines())
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{self.path}: it is not UTF-8") from error
        if missing := [token for token in NEEDED if token not in tokens]:
            raise InputError(
                f"{self.path}: it has no {', '.join(missing)}: it is no WordPiece vocabulary",
                hint="a vocab.txt has a token a line",
            )

    @property
    def about(self) -> dict[str, Any]:
        """As the manifest has it."""
        return {"type": "wordpiece", "vocabulary": PLACE, "cased": self.cased}
