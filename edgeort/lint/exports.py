"""Exported names: which are an API's, and which are a C++ runtime's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from edgeort.lint.rule import listed

# What a loader or a Java VM looks up itself.
_LOOKED_UP = ("JNI_OnLoad", "JNI_OnUnload", "Java_", "ANativeActivity_onCreate", "android_main", "PyInit_", "DllMain")
_LINKER = re.compile(
    r"_init|_fini|_edata|_end|__bss_start(__)?|__bss_end__|_bss_end__|__end__|__data_start|_etext|__dso_handle|_mh_\w+_header"
)

# libc++, libstdc++ and their ABI libraries, as the Itanium C++ ABI mangles them: std, operator new and delete, type
# information of the runtime, exceptions, unwinding. Instances of std's templates count: they are what collides.
_RUNTIME = re.compile(
    r"_Z(Z?NK?St|St|T[ISV](St|N?St|N10__cxxabiv1)|N10__cxxabiv1|n[wa][mj]|d[la]Pv|GV(N)?St)"
    r"|__cxa_|__gxx_personality|_Unwind_|__gcc_personality"
)
# Before the outermost word of a mangled name: kinds of special names, nesting, qualifiers, the word's length.
_MANGLED = re.compile(r"_Z(T[VTIS]|GV)?Z?N?[VKr]*\d+")
# As MSVC mangles std's.
_RUNTIME_MSVC = re.compile(r"\?.*@std@@")


def beyond_prefix(names: Iterable[str], file_name: str, prefixes: tuple[str, ...]) -> Iterator[str]:
    """A sentence where names have none of the prefixes; without prefixes, that of the file's own name is meant."""
    own = prefixes or (stem(file_name),)
    folded = tuple(prefix.casefold() for prefix in own)
    others = [
        name
        for name in names
        if not name.startswith(_LOOKED_UP)
        and not _LINKER.fullmatch(name)
        and not is_runtime(name)
        and not _first_word(name).casefold().startswith(folded)
    ]
    if others:
        yield f"{len(others)} exported names do not begin with {' or '.join(own)}: {listed(others)}"


def _first_word(name: str) -> str:
    """The name, or of one that C++ mangled the outermost namespace, class or function."""
    mangled = _MANGLED.match(name)
    return name[mangled.end() :] if mangled else name.lstrip("_")


def runtime_names(names: Iterable[str]) -> Iterator[str]:
    """A sentence where names are those of a C++ runtime."""
    found = [name for name in names if is_runtime(name)]
    if found:
        yield f"{len(found)} exported names are a C++ runtime's: {listed(found)}"


def is_runtime(name: str) -> bool:
    """Whether it is a name of a C++ runtime."""
    return _RUNTIME.match(name) is not None or _RUNTIME_MSVC.match(name) is not None


def stem(file_name: str) -> str:
    """`onnxruntime` of `libonnxruntime.so.1.32.0`: the letters of the name after `lib`."""
    name = file_name.removeprefix("lib")
    return re.split(r"[^A-Za-z]", name, maxsplit=1)[0] or name
