"""The extra may be missing; a test that needs it is skipped then."""

from __future__ import annotations

import pytest

from edgeort.converters.coreml.packages import coremltools
from edgeort.errors import MissingExtraError

collect_ignore_glob: list[str] = []
try:
    coremltools()
except MissingExtraError as error:
    collect_ignore_glob = ["test_[!m]*.py"]
    print(f"tests/converters/coreml: {error}: {error.hint}")


@pytest.fixture
def rng():
    import numpy as np

    return np.random.default_rng(0)
