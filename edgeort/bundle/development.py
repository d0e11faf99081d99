"""What C and C++ projects find the library by: a CMake package and a pkg-config file, valid wherever the bundle is.

find_package(edgeort REQUIRED)                    # cmake -DCMAKE_PREFIX_PATH=BUNDLE
target_link_libraries(app edgeort::edgeort)       # edgeort_MODEL is the path of the model

cc app.c $(PKG_CONFIG_PATH=BUNDLE/lib/pkgconfig pkg-config --cflags --libs edgeort)
"""

from __future__ import annotations

from edgeort.bundle.manifest import Manifest

CMAKE, PKG_CONFIG = "lib/cmake/edgeort/edgeort-config.cmake", "lib/pkgconfig/edgeort.pc"

_CMAKE = """\
get_filename_component(_edgeort_bundle "${{CMAKE_CURRENT_LIST_DIR}}/../../.." ABSOLUTE)
if(NOT TARGET edgeort::edgeort)
  add_library(edgeort::edgeort SHARED IMPORTED)
  set_target_properties(edgeort::edgeort PROPERTIES
    IMPORTED_LOCATION "${{_edgeort_bundle}}/{library}"
    IMPORTED_SONAME "{soname}"
    INTERFACE_INCLUDE_DIRECTORIES "${{_edgeort_bundle}}/include")
endif()
set(edgeort_MODEL "${{_edgeort_bundle}}/{artefact}")
set(edgeort_VERSION "{version}")
unset(_edgeort_bundle)
"""
_PKG_CONFIG = """\
prefix=${{pcfiledir}}/../..
model=${{prefix}}/{artefact}

Name: edgeort
Description: Runtime for one model, made for {device}
Version: {version}
Cflags: -I${{prefix}}/include
Libs: -L${{prefix}}/lib -ledgeort
"""


def files(manifest: Manifest) -> dict[str, bytes]:
    """Both files, where the bundle has a library that a Unix linker takes."""
    name = manifest.library.rpartition("/")[2]
    if not name.startswith("lib"):
        return {}
    about = {
        "library": manifest.library,
        "soname": name if name.endswith(".so") else f"@rpath/{name}",
        "artefact": manifest.artefact,
        "device": manifest.device,
        "version": manifest.edgeort,
    }
    return {CMAKE: _CMAKE.format(**about).encode(), PKG_CONFIG: _PKG_CONFIG.format(**about).encode()}
