"""`python -m benchmarks.preprocessing`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import preprocessing


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = pytest.importorskip("PIL.Image", reason="needs Pillow")
    pytest.importorskip("cv2", reason="needs opencv-python-headless")
    pixels = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)
    image.fromarray(pixels).save(tmp_path / "a.png")
    assert preprocessing.main([str(tmp_path), "--size", "12x17", "--pictures", "1", "--runs", "1"]) == 0
    printed = capsys.readouterr().out
    for method in (*preprocessing.PILLOW, *preprocessing.OPENCV):
        assert method in printed
    assert preprocessing.main([str(tmp_path), "--pictures", "2"]) == 2
