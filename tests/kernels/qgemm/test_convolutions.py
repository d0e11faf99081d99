"""QConv and QStemConv against the integers of the reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernels.qgemm.cases import CONVS, STEMS
from tests.kernels.qgemm.support import check


@pytest.mark.parametrize("name", CONVS)
def test_convolutions(name: str, tmp_path: Path) -> None:
    check(CONVS[name], tmp_path, (1, 7, 9), (2, 9, 8), (1, 5, 40))


@pytest.mark.parametrize("name", STEMS)
def test_stems(name: str, tmp_path: Path) -> None:
    check(STEMS[name], tmp_path, (1, 7, 9), (2, 9, 8), (1, 5, 40))
