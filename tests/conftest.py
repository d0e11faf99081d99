"""What several folders of tests share."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before any test imports onnxruntime


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Each process that runs tests has its own folder for them: there are locks, and tests look for what is left."""
    folder = str(tmp_path_factory.mktemp("tmp", numbered=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """A shell lets what it runs in the background ignore interrupts: what tests start, and interrupt, would, too."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def whole_library() -> Path:
    """One library of every kernel, for this machine: tests of many small models need not link one for each."""
    from tests.contract.engines import library

    return library()


@pytest.fixture(scope="session")
def kernel_plans() -> list[Path]:
    """Small plans that together call every kernel that some node test of the ONNX project needs; to be read alone."""
    from tests.fuzz import plans

    return plans.kernel_plans()
