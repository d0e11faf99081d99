"""`edgeort sign`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeort.cli.common import Json, command, print_json, print_table

PER_LINE = 8


@command
def sign(
    bundle: Annotated[Path, typer.Argument(help="A bundle: folder or .zip.")],
    key: Annotated[Path, typer.Option("--key", metavar="FILE.pem", help="A private key of Ed25519.")],
    as_json: Json = False,
) -> None:
    """Sign a bundle. `openssl genpkey -algorithm ed25519 -out key.pem` makes a key."""
    from edgeort.bundle import signing

    signed = signing.sign(bundle, key)
    if as_json:
        print_json({"bundle": str(bundle), "signed": list(signed.names), "public_key": signed.public_key.hex()})
        return
    rows = [("signed", ", ".join(signed.names)), ("public key", signed.public_key.hex())]
    rows += [("in C" if first == 0 else "", line) for first, line in enumerate(_in_c(signed.public_key))]
    print_table(str(bundle), rows)


def _in_c(key: bytes) -> list[str]:
    rows = [key[at : at + PER_LINE] for at in range(0, len(key), PER_LINE)]
    lines = [", ".join(f"0x{byte:02x}" for byte in row) for row in rows]
    return [f"{{{lines[0]},", *(f"{line}," for line in lines[1:-1]), f"{lines[-1]}}}"]
