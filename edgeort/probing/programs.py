"""What the programs of a probe print on the device: JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from edgeort.devices import Transport
from edgeort.errors import DeviceError


def printed(
    there: Transport, arguments: Sequence[str], what: str, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The last line of what a program prints. DeviceError, which calls it `what`, where it fails or prints no JSON."""
    said = there.execute(arguments, environment=environment)
    if said.status:
        reason = said.stderr.strip()[-500:] or f"exit status {said.status}"
        raise DeviceError(f"{what} failed on {there.name}: {reason}")
    try:
        found: dict[str, Any] = json.loads(said.stdout.strip().rpartition("\n")[2])
    except ValueError as error:
        raise DeviceError(f"{what} printed no result on {there.name}: {error}") from error
    return found
