"""Without coremltools there is one line that names the extra."""

from __future__ import annotations

import sys

import pytest

from edgeort import model, sample
from edgeort.converters import coreml
from edgeort.errors import MissingExtraError


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "coremltools", None)
    ready = model.clean(model.load(sample.path()))
    for ask in (coreml.emit, coreml.refusals):
        with pytest.raises(MissingExtraError, match="need coremltools") as raised:
            ask(ready)
        assert raised.value.hint == "pip install 'edgeort[coreml]'"
