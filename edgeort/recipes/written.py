"""A recipe as it is kept: files that it names stand in it by their last name, and lie in the bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgeort.errors import InputError
from edgeort.recipes.grammar import parse, text_of

FILES = ("labels", "characters")  # the arguments that are files
FOLDER = "postprocess"  # of a bundle, with those files


@dataclass(frozen=True)
class Written:
    """The plain `text` of a recipe, with names of files in place of paths, and the `files` by these names."""

    text: str
    files: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str, flag: str) -> Written:
        """The recipe in a text that has paths; `flag` is its option. InputError names the step that is wrong."""
        files: dict[str, Path] = {}

        def named(path: str) -> str:
            name = Path(path).name
            if files.setdefault(name, Path(path)) != Path(path):
                raise InputError(f"{flag}: two files are called {name}", hint="give one of them another name")
            return name

        return cls(_with_files(text, flag, named), files)

    def with_paths(self, flag: str) -> str:
        """The recipe with the paths of its files."""
        return _with_files(self.text, flag, lambda name: str(self.files.get(name, name)))


def _with_files(text: str, flag: str, change: Callable[[str], str]) -> str:
    steps = [
        replace(step, options=tuple((key, change(value) if key in FILES else value) for key, value in step.options))
        for step in parse(text, flag)
    ]
    return text_of(steps)
