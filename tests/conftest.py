"""What several folders of tests share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def whole_library() -> Path:
    """One library of every kernel, for this machine: tests of many small models need not link one for each."""
    from tests.contract.engines import library

    return library()
