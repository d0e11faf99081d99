"""lint(): a file, all rules."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeort.lint.readers import read
from edgeort.lint.rule import SEVERITIES, Finding
from edgeort.lint.rules import FAMILIES
from edgeort.lint.subjects import Options

_DEFAULT = Options()


@dataclass(frozen=True)
class Report:
    """What a file was found to break, the gravest first; `checked` counts the rules that were asked of something in "
    "it."""

    path: str
    findings: tuple[Finding, ...]
    checked: int

    @property
    def counts(self) -> Counter[str]:
        """Findings of each severity."""
        return Counter(finding.rule.severity for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "file": self.path,
            "rules_checked": self.checked,
            **{f"{severity}s": self.counts[severity] for severity in SEVERITIES},
            "findings": [finding.to_dict() for finding in self.findings],
        }


def lint(path: Path, options: Options = _DEFAULT) -> Report:
    """Asks every rule of everything in the file or folder. InputError where it is not what its suffix says."""
    subjects = read(path, options)
    findings: list[Finding] = []
    asked: set[str] = set()
    for subject in subjects:
        for applies, rules in FAMILIES:
            if applies(subject):
                asked.update(rule.id for rule in rules)
                findings += [Finding(rule, subject.where, what) for rule in rules for what in rule.check(subject)]
    findings.sort(key=lambda one: SEVERITIES.index(one.rule.severity))
    return Report(str(path), tuple(findings), len(asked))
