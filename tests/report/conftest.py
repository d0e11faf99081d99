"""What the tests of reports share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import edgeort
from edgeort import sample
from edgeort.bundle import Bundle, open_bundle
from tests.models import HOST


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    """The sample, built for this machine."""
    path = tmp_path_factory.mktemp("report") / "digits"
    edgeort.build(Path(sample.path()), HOST, path)
    with open_bundle(path) as bundle:
        yield bundle
