"""QConv and QStemConv against the integers of the reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernels.qgemm.cases import CONVS, STEMS, Case
from tests.kernels.qgemm.support import check


@pytest.mark.parametrize("name", CONVS)
def test_convolutions(name: str, tmp_path: Path) -> None:
    check(CONVS[name], tmp_path, (1, 7, 9), (2, 9, 8), (1, 5, 40))


@pytest.mark.parametrize("channels", [8, 13, 1])
@pytest.mark.parametrize(
    ("kernel", "stride", "pads"), [(9, 1, (4, 0, 4, 0)), (7, 2, (12, 0, 0, 0)), (3, 1, (0, 0, 0, 0))]
)
def test_a_column_is_a_line(
    channels: int, kernel: int, stride: int, pads: tuple[int, int, int, int], tmp_path: Path
) -> None:
    """Shapes of one column run as those of one line, and others of the same plan do not."""
    case = Case(channels, 20, (kernel, 1), (stride, 1), pads, zero_points=(-100, 3))
    check(case, tmp_path, (2, 41, 1), (1, 23, 5))


@pytest.mark.parametrize("name", STEMS)
def test_stems(name: str, tmp_path: Path) -> None:
    check(STEMS[name], tmp_path, (1, 7, 9), (2, 9, 8), (1, 5, 40))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("kernel", "stride", "pads"), [(40, 4, (19, 0, 20, 0)), (3, 1, (0, 0, 0, 0)), (7, 2, (12, 0, 9, 0))]
)
def test_a_column_of_few_channels_is_a_line(
    channels: int, kernel: int, stride: int, pads: tuple[int, int, int, int], tmp_path: Path
) -> None:
    """A kernel that is longer than what lies beside it, and that reaches beyond both ends at once."""
    case = Case(channels, 20, (kernel, 1), (stride, 1), pads, stem=True, zero_points=(-100, 3), program=channels == 3)
    check(case, tmp_path, (2, 41, 1), (1, 23, 5), (1, 21, 1))
