"""README.md of a bundle, for who gets it without edgeort: what it takes, how it is checked and called."""

from __future__ import annotations

from collections.abc import Iterable

from edgeort import toolchain
from edgeort.bundle.manifest import Manifest

PLACE = "README.md"
EMBEDDED_HEADER = f"include/edgeort_{toolchain.EMBEDDED}.h"
_STATIC = f"lib/{toolchain.STATIC}"

_HEAD = """\
# {model} for {device}

A model with the runtime made for it, by edgeort {version} ({provider} provider).
It takes {inputs}, and gives {outputs}.
"""
_CHECK = """
## Check and measure

In this folder, on the device:

    {harness} {artefact} --check golden{slash}

computes the outputs of `golden/`, compares them with those of the build, and measures. It needs nothing else.
"""
_C = """
## From C and C++

`include/edgeort.h` is the whole API, with an example at its beginning. Build systems find the library by
`lib/cmake/edgeort` (`find_package(edgeort)`, target `edgeort::edgeort`) and `lib/pkgconfig`. Without them:

    {command}
"""
# How a program in C is linked, by the bundle's system.
_LINK = {
    "linux": "cc app.c -I include -L lib -ledgeort -Wl,-rpath,'$ORIGIN/lib' -o app",
    "macos": "cc app.c -I include -L lib -ledgeort -Wl,-rpath,@executable_path/lib -o app",
    "windows": "cl app.c /I include /link /LIBPATH:lib edgeort.lib",
    "android": "clang --target={arch}24 app.c -I include -L lib -ledgeort -o app",
    "ios": "clang app.c -I include lib/libedgeort.a",
    "none": "arm-none-eabi-gcc -mcpu=CORE -mfloat-abi=hard -mthumb -I include firmware.c lib/libedgeort.a -lm",
}
# As the NDK's clang names what the bundles for Android are for.
_NDK = {"aarch64": "aarch64-linux-android", "armv7": "armv7a-linux-androideabi", "x86_64": "x86_64-linux-android"}
_PYTHON = """
## From Python

With NumPy, and nothing of edgeort:

    {command}
"""
_IMPORT = 'python -c "from edgeort_model import Model; print(Model().inputs)"'
_CALL = {
    "linux": f"PYTHONPATH=python {_IMPORT}",
    "macos": f"PYTHONPATH=python {_IMPORT}",
    "windows": f"set PYTHONPATH=python&& {_IMPORT}",
}
# In the place of _CHECK: the harness is no firmware.
_EMULATED = """
## Check

Where QEMU's user mode is installed, the same code runs as a program for Linux:

    qemu-arm-static -cpu max {harness} {artefact} --check golden/
"""
_FIRMWARE = """
CORE is cortex-m4, cortex-m7 or one that has all instructions of these. `include/edgeort_memory.h` gives models the
memory that they live in; nothing is taken from a heap. Without a model in the library, `{artefact}` lies in flash at a
multiple of 64 bytes, and `edgeort_open_memory` opens it. It asks for C's string functions, `vsnprintf` and libm.
"""
_APP = """
## In an app

    edgeort package FOLDER --{kind}

makes {what} of this folder, with a README of its own.
"""
_APPS = {
    "android": ("android", "a Gradle module and an .aar"),
    "ios": ("ios", "a Swift package"),
}
_PAGE = """
## In a page

Put `lib/` and `{artefact}` on a server that sends `.wasm` as application/wasm:

```js
import {{ Model }} from "./lib/edgeort.js";

const model = await Model.open(new URL("./", import.meta.url)); // this folder
const outputs = model.run({{ {feeds} }}); // typed arrays in, {{ name: {{ data, shape }} }} out
```

`lib/edgeort.d.ts` has the types. On a machine with edgeort and Node, `edgeort bench FOLDER` checks and measures it.
"""
_TAIL = """
`manifest.json` tells of every node, and has the hash of every file; `licences/NOTICE.txt` has the terms of all parts.
"""


def files(manifest: Manifest, present: Iterable[str]) -> dict[str, bytes]:
    """The file, where a bundle has a library and none of its provider's own; `present` are the bundle's files."""
    names = set(present)
    if not manifest.library or PLACE in names:
        return {}
    text = _HEAD.format(
        model=manifest.model,
        device=manifest.device,
        version=manifest.edgeort,
        provider=manifest.provider,
        inputs=", ".join(f"`{value.text()}`" for value in manifest.inputs),
        outputs=", ".join(f"`{value.text()}`" for value in manifest.outputs),
    )
    return {
        PLACE: (
            text + _page(manifest) if manifest.library.endswith(".wasm") else text + _native(manifest, names)
        ).encode()
    }


def _page(manifest: Manifest) -> str:
    feeds = ", ".join(f'"{value.name}": array{index}' for index, value in enumerate(manifest.inputs))
    return _PAGE.format(artefact=manifest.artefact, feeds=feeds) + _TAIL


def _native(manifest: Manifest, names: set[str]) -> str:
    system, parts = manifest.target.os, list[str]()
    windows = system == "windows"
    if manifest.harness:
        harness = manifest.harness.replace("/", "\\") if windows else manifest.harness
        check = _EMULATED if system == "none" else _CHECK
        parts.append(check.format(harness=harness, artefact=manifest.artefact, slash="" if windows else "/"))
    parts.append(_C.format(command=_LINK[system].replace("{arch}", _NDK.get(manifest.target.arch, ""))))
    if system == "none":
        parts.append(_FIRMWARE.format(artefact=manifest.artefact))
    if EMBEDDED_HEADER in names:
        parts.append(
            f"\nThe library holds the model: `edgeort_open_embedded` of `{EMBEDDED_HEADER}` opens it without a file.\n"
        )
    if _STATIC in names:
        parts.append(
            f"\n`{_STATIC}` is the same to link statically: `edgeort::static`, and `edgeort-static` to pkg-config.\n"
        )
    if system in _CALL:
        parts.append(_PYTHON.format(command=_CALL[system]))
    if system in _APPS and manifest.provider == "cpu":
        kind, what = _APPS[system]
        parts.append(_APP.format(kind=kind, what=what))
    return "".join(parts) + _TAIL
