"""What the commands share: options, errors, progress, output."""

from __future__ import annotations

import errno
import functools
import json
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer

from edgeort.errors import EdgeortError, InputError
from edgeort.plain import finite
from edgeort.unreadable import UNREADABLE

if TYPE_CHECKING:
    import numpy as np

    from edgeort.progress import Progress
    from edgeort.recipes.picture import Recipe

P = ParamSpec("P")

INTERRUPTED = 130  # 128 + SIGINT, as shells have it

# What --on takes, for help texts: an opening bracket before a letter would be markup, and long words would be cut off.
PLACES = "local, emulated[:CPU], node, ssh:\\[user@]host, adb[:SERIAL], or a name of edgeort.toml"

# What a system answers to a path as it was given, wherever that is looked at: no bug of ours.
_OF_PATHS = {
    errno.EACCES: "check its permissions, and those of the folders above it",
    errno.EPERM: "check its permissions, and those of the folders above it",
    errno.ENAMETOOLONG: "pass a shorter path",
    errno.EROFS: "pass a path that can be written",
    errno.ENOSPC: "free some space; TMPDIR and EDGEORT_CACHE name other places for what is temporary or kept",
    errno.EDQUOT: "free some space; TMPDIR and EDGEORT_CACHE name other places for what is temporary or kept",
}

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
On = Annotated[
    str | None,
    typer.Option("--on", metavar="WHERE", help=f"{PLACES}; default: this machine, else its emulator."),
]
Inputs = Annotated[
    list[str] | None, typer.Option("--input", metavar="NAME=FILE.npy", help="Data of an input; may be repeated.")
]
Shape = Annotated[
    list[str] | None,
    typer.Option("--shape", metavar="NAME=1x3x224x224", help="Shape of an input (scalar: NAME=); may be repeated."),
]
Preprocess = Annotated[
    str | None,
    typer.Option(
        "--preprocess",
        metavar="RECIPE",
        help="How pictures become the input: imagenet, yolo, ..., or steps: docs/preprocessing.md.",
    ),
]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, max=64, metavar="N", help="Number of threads; default: the profile's.")
]


def read_recipe(text: str | None) -> Recipe | None:
    """What --preprocess says of pictures. InputError names the step that is wrong, and for a recipe for sound."""
    from edgeort.recipes.picture_steps import parse
    from edgeort.recipes.sound import is_sound

    if text is not None and is_sound(text):
        raise InputError(
            "--preprocess: the recipe is one for sound, and samples of sound are arrays that the model takes",
            hint="leave it out; edgeort build has recipes for sound",
        )
    return None if text is None else parse(text)


def command(function: Callable[P, None]) -> Callable[P, None]:
    """Turns errors of ours into a message and an exit status; every command is wrapped in it."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with _terminable():
                function(*args, **kwargs)
        except EdgeortError as error:
            show_error(error, as_json=bool(kwargs.get("as_json")))
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as interrupt:
            print("\n".join(("interrupted", *getattr(interrupt, "__notes__", ()))), file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
        except OSError as error:
            if error.errno not in _OF_PATHS:
                raise
            refused = InputError(f"{error.filename or 'a file'}: {error.strerror}", hint=_OF_PATHS[error.errno])
            show_error(refused, as_json=bool(kwargs.get("as_json")))
            raise typer.Exit(refused.exit_code) from error

    return wrapped


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM leaves as an error does, so that devices and temporary folders are tidied up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def show_error(error: EdgeortError, *, as_json: bool) -> None:
    """On stderr one paragraph and the hint; with --json the same on stdout, too."""
    if as_json:
        print_json({"error": str(error), "kind": type(error).__name__, "hint": error.hint})
    print("\n".join((f"error: {error}", *getattr(error, "__notes__", ()))), file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)


def print_json(data: Any) -> None:
    """JSON on stdout; NaN and the infinities, for which JSON has no number, as strings."""
    print(json.dumps(finite(data), indent=2, default=str))


def print_table(title: str, rows: Iterable[Sequence[str]], headers: Sequence[str] = ()) -> None:
    """A table on stdout; without `headers` the first column names what the second has."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE, show_header=bool(headers))
    for index, header in enumerate(headers or ("", "")):
        table.add_column(header, style="bold" if index == 0 and not headers else "", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=160)  # a pipe has no width: do not wrap for one
    console.print(title, style="bold")
    with console.capture() as capture:
        console.print(table)
    lines = (line.rstrip() for line in capture.get().splitlines())  # cells are padded to the widest of their column
    sys.stdout.write("".join(f"{line}\n" for line in lines if line) + "\n")


@contextmanager
def stages() -> Iterator[Progress]:
    """Shows the stages of long work on stderr: a spinner on a terminal, else a line each."""
    if not sys.stderr.isatty():
        yield lambda name: print(f"edgeort: {name}", file=sys.stderr, flush=True)
        return
    from rich.console import Console

    with Console(stderr=True).status("edgeort") as status:
        yield lambda name: status.update(f"edgeort: {name}")


def size(n_bytes: float) -> str:
    """`1.2 MB`, in units of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    raise AssertionError


def within(difference: float) -> str:
    """How far outputs are from those of ONNX Runtime, as a share of their range."""
    return f"within {difference:.1e}" if difference else "equal"


def ms(value: float) -> str:
    """Milliseconds in four digits or more."""
    return f"{value:.{1 if value >= 100 else 2 if value >= 10 else 3 if value >= 1 else 4}f}"


def parse_size(option: str, text: str) -> int:
    """`512K`, `1.5M`, `2G` (of 1024) or a number of bytes. InputError names the option."""
    matched = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]+)?)([KMG]?)", text.strip(), re.IGNORECASE)
    n_bytes = int(float(matched[1]) * 1024 ** " KMG".index(matched[2].upper() or " ")) if matched else 0
    if not 0 < n_bytes < 2**63:
        raise InputError(f"{option} {text}: this is not a size", hint=f"{option} 512K")
    return n_bytes


_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_S = 7 * 86400.0


def parse_time(option: str, text: str) -> float:
    """`500ms`, `5s`, `10m`, `1h` in seconds, a millisecond to a week. InputError names the option."""
    matched = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)", text.strip())
    seconds = float(matched[1]) * _SECONDS[matched[2]] if matched else 0.0
    if not 1e-3 <= seconds <= _LONGEST_S:
        raise InputError(f"{option} {text}: this is not a time from 1ms to 168h", hint=f"{option} 10s")
    return seconds


def read_inputs(options: Sequence[str] | None) -> dict[str, np.ndarray]:
    """The arrays of `--input NAME=FILE.npy`. InputError says which option is wrong and why."""
    import numpy as np

    found: dict[str, np.ndarray] = {}
    for option in options or ():
        name, equals, path = option.partition("=")
        if not equals or not name or not path:
            raise InputError(f"--input {option}: this is not NAME=FILE.npy", hint="--input x=x.npy")
        if name in found:
            raise InputError(f"--input {name} is given twice")
        try:
            array = np.load(Path(path), allow_pickle=False)
        except OSError as error:
            raise InputError(f"--input {name}: {path}: {error.strerror or 'it cannot be read'}") from error
        except UNREADABLE as error:
            reason = "it is not a .npy file of numbers"
            raise InputError(f"--input {name}: {path}: {reason}", hint="numpy.save('x.npy', array)") from error
        if not isinstance(array, np.ndarray):
            raise InputError(
                f"--input {name}: {path}: it is an archive, not one array", hint="numpy.save('x.npy', array)"
            )
        found[name] = array
    return found
