"""Rules of Android's linker for a library, and which system libraries an app may use.

Sources: developer.android.com "Support 16 KB page sizes" and "Native APIs", meta/system_libs.json of the NDK, bionic's
"Android changes for NDK developers".
"""

from __future__ import annotations

from collections.abc import Iterator

from edgeort.lint.rule import Rule, listed
from edgeort.lint.subjects import ElfLibrary

PAGE = 16384  # bytes; the largest page of devices that run Android

# The public libraries of the system and the API level that brought each; 16 stands for "always" (the NDK's own lowest).
PUBLIC = {
    "libEGL.so": 16,
    "libGLESv1_CM.so": 16,
    "libGLESv2.so": 16,
    "libGLESv3.so": 18,
    "libOpenMAXAL.so": 16,
    "libOpenSLES.so": 16,
    "libaaudio.so": 26,
    "libamidi.so": 29,
    "libandroid.so": 16,
    "libbinder_ndk.so": 29,
    "libc.so": 16,
    "libcamera2ndk.so": 24,
    "libdl.so": 16,
    "libicu.so": 31,
    "libjnigraphics.so": 16,
    "liblog.so": 16,
    "libm.so": 16,
    "libmediandk.so": 21,
    "libnativehelper.so": 31,
    "libnativewindow.so": 26,
    "libneuralnetworks.so": 27,
    "libstdc++.so": 16,
    "libsync.so": 26,
    "libvulkan.so": 24,
    "libz.so": 16,
}

# Libraries of the system that are not for apps, of which old apps are known to ask.
PRIVATE = {
    "libandroid_runtime.so", "libart.so", "libbacktrace.so", "libbase.so", "libbinder.so", "libcrypto.so",
    "libcutils.so", "libdvm.so", "libexpat.so", "libgui.so", "libhardware.so", "libicui18n.so", "libicuuc.so",
    "libmedia.so", "libnativebridge.so", "libskia.so", "libsqlite.so", "libssl.so", "libstagefright.so",
    "libui.so", "libutils.so",
}  # fmt: skip


def _page_size(library: ElfLibrary) -> Iterator[str]:
    small = [segment for segment in library.of_kind("load") if segment.alignment < PAGE]
    if library.is_64 and small:
        yield f"{len(small)} of its segments are aligned to {min(one.alignment for one in small)} bytes, not to {PAGE}"


def _relro_end(library: ElfLibrary) -> Iterator[str]:
    if not library.is_64:
        return
    for relro in library.of_kind("gnu_relro"):
        first, last = relro.address, relro.address + relro.memory_size
        page_end = -(-last // PAGE) * PAGE
        for segment in library.of_kind("load"):
            end = segment.address + segment.memory_size
            # What lies behind the protected part on its last page becomes read-only with it.
            if segment.writable and max(segment.address, last) < min(end, page_end) and first < end:
                at = max(segment.address, last)
                yield f"data from {at:#x} on shares a page of {PAGE} bytes with the end of PT_GNU_RELRO"


def _soname(library: ElfLibrary) -> Iterator[str]:
    if library.soname is None:
        yield "it has no DT_SONAME"
    elif library.in_archive and library.soname != library.file_name:
        yield f"its DT_SONAME is {library.soname}"


def _private(library: ElfLibrary) -> Iterator[str]:
    found = PRIVATE & set(library.needed)
    if found:
        yield f"it needs {listed(found)}"


def _level(library: ElfLibrary) -> Iterator[str]:
    lowest = library.min_api
    for name in library.needed:
        if lowest is not None and PUBLIC.get(name, 0) > lowest:
            yield f"it needs {name}, there from API level {PUBLIC[name]} on, and is for {lowest}"


def _path(library: ElfLibrary) -> Iterator[str]:
    for name in library.needed:
        if "/" in name:
            yield f"it needs '{name}'"


def _linux(library: ElfLibrary) -> Iterator[str]:
    found = [name for name in library.needed if ".so." in name and not name.startswith("/")]
    if found:
        yield f"it needs {listed(found)}"


def _elsewhere(library: ElfLibrary) -> Iterator[str]:
    known = PUBLIC.keys() | PRIVATE
    found = [name for name in library.needed if name not in known and "/" not in name and ".so." not in name]
    if found and not library.in_archive:
        yield f"it needs {listed(found)}"


def _sections(library: ElfLibrary) -> Iterator[str]:
    if not library.sections:
        yield "it has no section headers"


ANDROID: tuple[Rule[ElfLibrary], ...] = (
    Rule(
        "android-page-size",
        "error",
        "Google Play refuses apps that target Android 15 or newer with 64-bit libraries for 4 KB pages only (since "
        "November 2025); "
        "devices with pages of 16 KB cannot load them.",
        "link with -Wl,-z,max-page-size=16384 (the default of NDK r28 and newer)",
        _page_size,
    ),
    Rule(
        "android-relro-end",
        "error",
        "Where pages have 16 KB, the linker protects whole pages: data beside the end of PT_GNU_RELRO becomes "
        "read-only, and the first write to it crashes.",
        "link with -Wl,-z,max-page-size=16384 and a linker that pads PT_GNU_RELRO to it (lld 18 or newer)",
        _relro_end,
    ),
    Rule(
        "android-soname",
        "warning",
        "Android's linker tells libraries apart by DT_SONAME; where it is missing or is not the file's name, one "
        "library may be loaded twice, or another in its place.",
        "link with -Wl,-soname,FILE",
        _soname,
    ),
    Rule(
        "android-private-library",
        "error",
        "Since Android 7, apps cannot open the system's own libraries: System.loadLibrary fails.",
        "link statically with a copy of your own",
        _private,
    ),
    Rule(
        "android-library-level",
        "error",
        "A library of the system that a device does not have makes System.loadLibrary fail there.",
        "raise minSdk, or open it by dlopen where it is there",
        _level,
    ),
    Rule(
        "android-needed-path",
        "error",
        "DT_NEEDED with a path is a path of the machine that built it; Android refuses it in apps that target API "
        "level 23 or higher.",
        "give the library that was linked a DT_SONAME, or link by -L and -l",
        _path,
    ),
    Rule(
        "android-needs-linux",
        "error",
        "Names with a version, such as libc.so.6, are those of Linux distributions; no Android device has them.",
        "compile for aarch64-linux-android instead of aarch64-linux-gnu",
        _linux,
    ),
    Rule(
        "android-needs-another",
        "warning",
        "It is no public library of the system, so the app must bring it along.",
        "put it beside this one in the .apk or .aar, or link statically (-static-libstdc++ for libc++_shared.so)",
        _elsewhere,
    ),
    Rule(
        "android-sections",
        "error",
        "Android refuses libraries without section headers in apps that target API level 24 or higher.",
        "strip with llvm-strip or the linker's -s, which keep them; not with sstrip or packers",
        _sections,
    ),
)
