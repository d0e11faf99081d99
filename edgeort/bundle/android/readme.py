"""README.md of a package for Android."""

from __future__ import annotations

import re

from edgeort.bundle.android import module, names
from edgeort.bundle.manifest import Manifest

_HEAD = """\
# {model} for Android

API level {min_sdk} of Android or newer. In the app's `build.gradle.kts`:

```kotlin
android {{
    androidResources {{ noCompress += "plan" }}   // the model is mapped where it lies in the app
}}

dependencies {{
    {dependency}
}}
```

{how}

```kotlin
import {package}.EdgeortModel
import {package}.Tensor
import {package}.run

val model = withContext(Dispatchers.IO) {{ EdgeortModel.open(context) }}   // AutoCloseable
{call}
{reads}
```

It takes {inputs}, and gives {outputs}. `model.inputs()` and `model.outputs()` say so, too.
A run that fails throws EdgeortException with the reason; a closed model, IllegalStateException. Any thread may call;
runs follow one another. From Java: `runHere` on the thread that calls, `runAsync` for a CompletableFuture.
"""


def text(manifest: Manifest, *, has_aar: bool, has_coroutines: bool) -> str:
    """How an app uses the package; `has_coroutines` tells whether Kotlin's classes are in the .aar, too."""
    identifier = names.identifier(manifest.model)
    dependency = f'implementation(project(":{identifier}"))'
    how = f'with `include(":{identifier}")` in `settings.gradle.kts` and the folder `{identifier}/` beside it.'
    if has_aar:
        archive = f"{identifier}.aar"
        how += f' Or, without a module: `{archive}` in `libs/`, and `implementation(files("libs/{archive}"))`.'
        if not has_coroutines:
            how += "\nIt was made without a Kotlin compiler, and has `runHere` and `runAsync`, not the `run` below."
    return _HEAD.format(
        model=manifest.model,
        min_sdk=module.MIN_SDK,
        dependency=dependency,
        how=how,
        package=names.java_package(manifest.model),
        call=_call(manifest),
        reads="\n".join(_reads(manifest)),
        inputs=", ".join(f"`{value.text()}`" for value in manifest.inputs),
        outputs=", ".join(f"`{value.text()}`" for value in manifest.outputs),
    )


def _call(manifest: Manifest) -> str:
    """A line of Kotlin that runs the model."""
    first = manifest.inputs[0]
    if len(manifest.inputs) > 1:
        arguments = ", ".join(f"tensor{index}" for index in range(len(manifest.inputs)))
        return f"val outputs = model.run({arguments})   // Tensor.of(values, shape...) makes each"
    shape = first.shape or ()
    if first.dtype == "uint8" and len(shape) in (3, 4) and shape[-1] == 3:
        return "val outputs = model.run(bitmap)"
    if first.dtype == "float32":
        known = all(isinstance(dim, int) for dim in shape)
        dims = "" if known else "".join(f", {dim if isinstance(dim, int) else 1}" for dim in shape)
        return f"val outputs = model.run(floats{dims})   // a FloatArray"
    if first.dtype == "string":
        return "val outputs = model.run(Tensor.of(strings, shape...))   // an Array<String>"
    tensor = f"Tensor.of(ElementType.{first.dtype.upper()}, buffer, shape...)"
    return f"val outputs = model.run({tensor})   // a direct ByteBuffer"


def _reads(manifest: Manifest) -> list[str]:
    """A line of Kotlin for each output: its elements."""
    methods = {"float32": "floats", "int32": "ints", "int64": "longs", "string": "strings"}
    return [
        f"val {name} = outputs[{index}].{methods.get(value.dtype, 'data')}()"
        for index, (name, value) in enumerate(zip(_variables(manifest), manifest.outputs, strict=True))
    ]


def _variables(manifest: Manifest) -> list[str]:
    """A name in Kotlin for each output: its own where that is one."""
    taken = {"model", "outputs", *names.RESERVED}
    own = [value.name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value.name) else "" for value in manifest.outputs]
    return [name if name and name not in taken else f"output{index}" for index, name in enumerate(own)]
