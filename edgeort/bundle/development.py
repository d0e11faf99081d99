"""What C and C++ projects find the library by: a CMake package and a pkg-config file, valid wherever the bundle is.

find_package(edgeort REQUIRED)                    # cmake -DCMAKE_PREFIX_PATH=BUNDLE
target_link_libraries(app edgeort::edgeort)       # edgeort_MODEL is the path of the model

cc app.c $(PKG_CONFIG_PATH=BUNDLE/lib/pkgconfig pkg-config --cflags --libs edgeort)

Where there is a static library beside the other, it is edgeort::static, and `edgeort-static` to pkg-config.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeort import toolchain
from edgeort.bundle.manifest import Manifest

CMAKE, PKG_CONFIG = "lib/cmake/edgeort/edgeort-config.cmake", "lib/pkgconfig/edgeort.pc"
PKG_CONFIG_STATIC = "lib/pkgconfig/edgeort-static.pc"

_CMAKE = """\
get_filename_component(_edgeort_bundle "${{CMAKE_CURRENT_LIST_DIR}}/../../.." ABSOLUTE)
if(NOT TARGET edgeort::edgeort)
  add_library(edgeort::edgeort {kind} IMPORTED)
  set_target_properties(edgeort::edgeort PROPERTIES
{properties}{soname}    INTERFACE_INCLUDE_DIRECTORIES "${{_edgeort_bundle}}/include")
endif()
{static}set(edgeort_MODEL "${{_edgeort_bundle}}/{artefact}")
set(edgeort_VERSION "{version}")
unset(_edgeort_bundle)
"""
_SONAMES = {
    ".so": '    IMPORTED_SONAME "{name}"\n',
    ".dylib": '    IMPORTED_SONAME "@rpath/{name}"\n',
}
_PKG_CONFIG = """\
prefix=${{pcfiledir}}/../..
model=${{prefix}}/{artefact}

Name: edgeort
Description: Runtime for one model, made for {device}
Version: {version}
Cflags: -I${{prefix}}/include
Libs: {libs}
"""
_CMAKE_STATIC = """\
if(NOT TARGET edgeort::static)
  add_library(edgeort::static STATIC IMPORTED)
  set_target_properties(edgeort::static PROPERTIES
    IMPORTED_LOCATION "${{_edgeort_bundle}}/lib/{name}"
    INTERFACE_LINK_LIBRARIES "{needs}"
    INTERFACE_INCLUDE_DIRECTORIES "${{_edgeort_bundle}}/include")
endif()
"""
# What a program links beside the static library, where that is not there by itself.
_NEEDS = {"linux": ("m", "pthread"), "android": ("m",)}

_IMPORTS = "lib/edgeort.lib"  # by which linkers for Windows find what a DLL has


def files(
    manifest: Manifest, headers: Sequence[str] = ("edgeort.h",), *, static: bool = False
) -> dict[str, bytes | Path]:
    """The files, where the bundle has a library that C links; `headers` of the C API say what it has.

    `static` tells of a static library beside it.
    """
    name = manifest.library.rpartition("/")[2]
    if not name or name.endswith(".wasm"):
        return {}
    properties = {"IMPORTED_LOCATION": manifest.library}
    found: dict[str, bytes | Path] = {}
    if name.endswith(".dll"):
        properties["IMPORTED_IMPLIB"] = _IMPORTS
        target = toolchain.target(manifest.target.os, manifest.target.arch)
        found[_IMPORTS] = toolchain.import_library(target, toolchain.functions(headers))
    about = {
        "kind": "STATIC" if name.endswith(".a") else "SHARED",
        "properties": "".join(f'    {key} "${{_edgeort_bundle}}/{place}"\n' for key, place in properties.items()),
        "soname": _SONAMES.get(Path(name).suffix, "").format(name=name),
        "artefact": manifest.artefact,
        "device": manifest.device,
        "version": manifest.edgeort,
        "static": "",
        "libs": "-L${prefix}/lib -ledgeort",
    }
    if static:
        needs = _NEEDS.get(manifest.target.os, ())
        about["static"] = _CMAKE_STATIC.format(name=toolchain.STATIC, needs=";".join(needs))
        libs = " ".join([f"${{prefix}}/lib/{toolchain.STATIC}", *(f"-l{name}" for name in needs)])
        found[PKG_CONFIG_STATIC] = _PKG_CONFIG.format(**{**about, "libs": libs}).encode()
    return {**found, CMAKE: _CMAKE.format(**about).encode(), PKG_CONFIG: _PKG_CONFIG.format(**about).encode()}
