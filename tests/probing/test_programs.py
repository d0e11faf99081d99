"""What a program on a device prints: its last line, and what is said where that is no JSON."""

from __future__ import annotations

import re

import pytest

from edgeort.devices import open_transport
from edgeort.errors import DeviceError
from edgeort.probing.programs import printed


def test_the_last_line_counts():
    with open_transport("local") as here:
        assert printed(here, ["sh", "-c", "echo noise; echo '{\"a\": 1}'"], "it") == {"a": 1}


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo why >&2; exit 3", "it failed on local: why"),
        ("exit 3", "it failed on local: exit status 3"),
        ("echo no", "it printed no result on local"),
        ("true", "it printed no result on local"),
    ],
)
def test_what_is_no_result_says_why(script: str, said: str):
    with open_transport("local") as here, pytest.raises(DeviceError, match=re.escape(said)):
        printed(here, ["sh", "-c", script], "it")
