"""Every job of the pool is done, and its fate told."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.forked import run_forked

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the workers are forked")


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_job_is_done(workers: int) -> None:
    done = list(run_forked(lambda index, folder: index**2, 4, timeout_s=60, workers=workers))
    assert sorted(done) == [(index, index**2, "") for index in range(4)]


def test_how_jobs_die() -> None:
    def job(index: int, folder: Path) -> str:
        if index == 0:
            os.kill(os.getpid(), signal.SIGSEGV)
        if index == 1:
            time.sleep(60)
        if index == 2:
            bytearray(1 << 33)
        return "alive"

    ends = {i: (result, death) for i, result, death in run_forked(job, 4, timeout_s=3, workers=1, memory_bytes=1 << 30)}
    assert ends[0] == (None, "crash: signal 11") and ends[1] == (None, "no answer in 3 s")
    assert ends[2][1].startswith("crash") and ends[3] == ("alive", "")
