"""How files and programs reach a device. One interface, `Transport`; one file a kind: local, emulated, ssh, adb.

with open_transport("ssh:pi@raspberrypi.local") as there:
    folder = there.push({"bin/probe": program})
    output = there.execute([f"{folder}/bin/probe", "--json"])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from edgeort.errors import DeviceError

if TYPE_CHECKING:
    from edgeort.bundle import Manifest
    from edgeort.devices.channel import Channel

TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class Output:
    """What a program said. `status` is what it exited with; of one that a signal ended, its negative number.

    A harness exits with 0, 1 when an output differs, 3 when activations do not fit the plan's limit, 2 for the rest.
    """

    status: int
    stdout: str
    stderr: str


def no_harness(manifest: Manifest) -> DeviceError:
    """Of a bundle whose provider has none, such as Core ML's."""
    return DeviceError(
        f"a bundle of {manifest.provider} has no program that measures it", hint="edgeort build --require cpu has one"
    )


class Transport(Protocol):
    """A way to a device, open until `close`. Everything raises DeviceError where the device does not do it."""

    @property
    def name(self) -> str:
        """For people: `local`, `emulated (cortex-a72)`, `ssh:pi@raspberrypi.local`."""

    @property
    def is_real(self) -> bool:
        """Whether times there say anything about the device."""

    @property
    def is_remote(self) -> bool:
        """Whether data reaches it over a wire."""

    @property
    def system(self) -> tuple[str, str]:
        """Operating system and architecture there, as profiles name them: ("linux", "aarch64")."""

    def admit(self, manifest: Manifest) -> Mapping[str, str]:
        """The variables that the harness of such a bundle needs there. DeviceError says why it cannot run there."""

    def push(self, files: Mapping[str, Path], *, keep: bool = True) -> str:
        """Puts files under their names (with `/`) into a new folder there, and gives its path. All are executable.

        What the device has from an earlier time is not sent again, unless not to `keep` it was asked for: such files
        go with the folder. An empty mapping gives an empty folder; a name that ends in `/` is one in it.
        The folder is gone after `close`. On this machine it is the one that they lie in already, if there is one.
        """

    def execute(
        self,
        arguments: Sequence[str],
        on_line: Callable[[str], None] | None = None,
        timeout_s: float = TIMEOUT_S,
        environment: Mapping[str, str] | None = None,
    ) -> Output:
        """Runs a program there to its end, with nothing to read; `on_line` gets every line of its stdout as it comes.

        DeviceError where it cannot be started, meets an instruction that the CPU lacks, or does not end in time (then
        it is killed).
        """

    def open(self, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Channel:
        """Starts a program there, to speak with while it runs; whoever is done with it kills it.

        DeviceError when it cannot be started, and by what is given when the connection breaks.
        """

    def pull(self, remote: str, to: Path) -> None:
        """Copies what the folder `remote` holds into the folder `to` here."""

    def discard(self, folder: str) -> None:
        """Removes a folder that `push` made, before `close` does; where it lay here already, nothing happens."""

    def close(self) -> None:
        """Ends what still runs there, and removes every folder that was pushed. May be called again."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
