"""README.md of a package for iOS."""

from __future__ import annotations

from collections.abc import Iterator

from edgeort.bundle.apple import swift
from edgeort.values import Value

_TEXT = """\
# {name} for iOS

A Swift package: iOS {min_os} and later, phones and the simulator. In Xcode: File > Add Package Dependencies > Add
Local, and this folder. In a `Package.swift` of your own, where FOLDER is what this folder is called:

```swift
.package(path: "../FOLDER")                        // a dependency of the package
.product(name: "{module}", package: "FOLDER")      // and of the target
```

In an app:

```swift
import {module}

let model = try EdgeortModel(named: {literal})
{inputs}
let outputs = try await model.run([{feeds}])    // or without await, on this thread
{reads}
```

It takes {takes}, and gives {gives}. `model.inputs` and `model.outputs` say so, too. Any thread may call; runs follow
one another. What goes wrong is thrown as an `EdgeortError` with the reason: `.model`, `.input`, `.run`,
`.overRamLimit` or `.outOfMemory`.
{c_api}Apple's privacy manifest is in it (nothing is collected), and `licences/NOTICE.txt` has the terms of all parts.
"""
_C_API = "`import {module}` is the C API, edgeort.h. "
# The Swift type of the elements of each EdgeortType.
_ELEMENTS = {
    "float32": "Float", "float64": "Double", "float16": "Float16", "uint8": "UInt8", "int8": "Int8", "uint16": "UInt16",
    "int16": "Int16", "uint32": "UInt32", "int32": "Int32", "uint64": "UInt64", "int64": "Int64", "bool": "Bool",
}  # fmt: skip


def text(model: swift.Model) -> str:
    """How an app uses the package."""
    manifest = model.bundle.manifest
    return _TEXT.format(
        name=model.name,
        module=model.module,
        min_os=model.min_os,
        literal=swift.literal(model.name),
        inputs="\n".join(map(_made, range(len(manifest.inputs)), manifest.inputs)),
        feeds=", ".join(f"{swift.literal(value.name)}: input{index}" for index, value in enumerate(manifest.inputs)),
        reads="\n".join(_read(manifest.outputs)),
        takes=", ".join(f"`{value.text()}`" for value in manifest.inputs),
        gives=", ".join(f"`{value.text()}`" for value in manifest.outputs),
        c_api=_C_API.format(module=model.c_module) if model.is_plan else "",
    )


def _made(index: int, value: Value) -> str:
    """A line that makes an input."""
    shape = value.shape or ()
    if value.dtype == "uint8" and len(shape) == 3 and shape[-1] == 4:
        return f"let input{index} = try EdgeortTensor(image: cgImage)"
    kind = "String" if value.dtype == "string" else _ELEMENTS[value.dtype]
    dims = ", ".join(str(dim) if isinstance(dim, int) else "1" for dim in shape)
    return f"let input{index} = try EdgeortTensor(values{index}, shape: [{dims}])    // [{kind}]"


def _read(outputs: tuple[Value, ...]) -> Iterator[str]:
    """A line that reads each output."""
    for index, value in enumerate(outputs):
        call = "strings()" if value.dtype == "string" else f"values(as: {_ELEMENTS[value.dtype]}.self)"
        yield f"let output{index} = try outputs[{swift.literal(value.name)}]!.{call}"
