"""The table of all rules: which are asked of which subjects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgeort.lint.rule import Rule
from edgeort.lint.rules.android import ANDROID
from edgeort.lint.rules.archive import ARCHIVE
from edgeort.lint.rules.elf import ELF
from edgeort.lint.rules.framework import FRAMEWORK
from edgeort.lint.rules.inside import INSIDE
from edgeort.lint.rules.macho import MACHO
from edgeort.lint.rules.pe import PE
from edgeort.lint.rules.privacy import PRIVACY, PRIVACY_OF_FRAMEWORKS, PRIVACY_OF_XCFRAMEWORKS
from edgeort.lint.rules.xcframework import XCFRAMEWORK
from edgeort.lint.subjects import (
    AndroidArchive,
    ElfLibrary,
    Framework,
    PeLibrary,
    PrivacyManifest,
    Slice,
    Subject,
    Unreadable,
    XcFramework,
)


def _is_android(subject: Subject) -> bool:
    return isinstance(subject, ElfLibrary) and subject.is_android


def _is(kind: type) -> Callable[[Subject], bool]:
    return lambda subject: isinstance(subject, kind)


# Which subjects, the rules that are asked of them.
FAMILIES: tuple[tuple[Callable[[Subject], bool], tuple[Rule[Any], ...]], ...] = (
    (_is(Unreadable), INSIDE),
    (_is(ElfLibrary), ELF),
    (_is_android, ANDROID),
    (_is(AndroidArchive), ARCHIVE),
    (_is(Slice), MACHO),
    (_is(Framework), FRAMEWORK),
    (_is(Framework), PRIVACY_OF_FRAMEWORKS),
    (_is(PrivacyManifest), PRIVACY),
    (_is(XcFramework), XCFRAMEWORK),
    (_is(XcFramework), PRIVACY_OF_XCFRAMEWORKS),
    (_is(PeLibrary), PE),
)
RULES: tuple[Rule[Any], ...] = tuple(rule for _, rules in FAMILIES for rule in rules)
