"""Rules behind what app stores and loaders refuse, for libraries and packages of any origin.

    lint(path) -> Report        every rule that the file breaks, with the reason and what to do
    has_rules(path) -> bool     whether there are any for such a file
    RULES                       the table of all rules

A file is read into subjects (`subjects.py`), one type a thing that rules speak of; a rule is a function from a subject
to sentences (`rule.py`). Families of rules stand in `rules/`, one file each. Formats are read by LIEF
(`edgeort[stores]`), `zipfile` and `plistlib`; what none of them reads (binary manifests, archives
of objects) by small readers here.
"""

from edgeort.lint.linting import Report, lint
from edgeort.lint.readers import has_rules
from edgeort.lint.rule import SEVERITIES, Finding, Rule, Severity
from edgeort.lint.rules import RULES
from edgeort.lint.subjects import Options

__all__ = ["RULES", "SEVERITIES", "Finding", "Options", "Report", "Rule", "Severity", "has_rules", "lint"]
