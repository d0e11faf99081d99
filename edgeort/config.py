"""edgeort.toml, which may lie in the folder that a command runs in.

[model]
path = "model.onnx"             # what `edgeort build` builds

[preprocess]
steps = "imagenet; crop 224"    # what `edgeort build` takes as --preprocess: docs/preprocessing.md

[postprocess]
steps = "softmax; top-k 5"      # what `edgeort build` takes as --postprocess

[devices]
pi = "ssh:pi@raspberrypi.local" # then `--on pi`
phone = "adb:R58M123ABCD"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeort.errors import InputError

NAME = "edgeort.toml"
_ALLOWED = (
    'allowed: [model] with path = "model.onnx"; [preprocess] and [postprocess] with steps = "imagenet"; '
    '[devices] with NAME = "ssh:user@host" and the like'
)
_RECIPES = ("preprocess", "postprocess")
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Config:
    """What the file says.

    `model` is a path here; `preprocess` and `postprocess` are recipes; `devices` maps names to what --on takes.
    """

    model: Path | None = None
    devices: Mapping[str, str] = field(default_factory=dict)
    preprocess: str | None = None
    postprocess: str | None = None


def read(folder: Path) -> Config | None:
    """The file in `folder`; None where there is none. InputError for one that says something else."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{NAME}: {error}", hint=_ALLOWED) from error
    if not table or (unknown := sorted(set(table) - {"model", *_RECIPES, "devices"})):
        raise _refused(unknown[0] if table else "nothing in it")
    model = _texts("model", table.get("model", {}))
    steps = {name: _texts(name, table[name]) for name in _RECIPES if name in table}
    devices = _texts("devices", table.get("devices", {}))
    if set(model) != ({"path"} if "model" in table else set()):
        raise _refused("[model]")
    for name, section in steps.items():
        if set(section) != {"steps"}:
            raise _refused(f"[{name}]")
    for name in devices:
        if not _DEVICE.fullmatch(name) or name in ("local", "emulated", "node", "ssh", "adb"):
            raise InputError(f"{NAME}: [devices]: {name!r} cannot be the name of a device", hint='pi = "ssh:pi@host"')
    recipes = {name: section["steps"] for name, section in steps.items()}
    return Config(folder / model["path"] if model else None, devices, **recipes)


def _texts(name: str, section: Any) -> dict[str, str]:
    if not isinstance(section, dict) or not all(isinstance(value, str) for value in section.values()):
        raise _refused(f"[{name}]")
    return section


def _refused(where: str) -> InputError:
    return InputError(f"{NAME}: {where}: an unknown or missing key", hint=_ALLOWED)
