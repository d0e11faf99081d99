"""licences/: what a bundle consists of besides the model, each with its licence and where it comes from."""

from __future__ import annotations

from collections.abc import Iterable

# name, SPDX expression, where the source and the licence's text are, what of it is in a bundle
_PARTS: tuple[tuple[str, str, str, str], ...] = (
    (
        "edgeort",
        "Apache-2.0",
        "edgeort in PyPI; text: LICENSE of that distribution",
        "the runtime, its kernels, the harness",
    ),
    (
        "musl",
        "MIT",
        "https://musl.libc.org, file COPYRIGHT",
        "the C library inside bin/edgeort_bench on Linux and Android",
    ),
    (
        "LLVM compiler-rt",
        "Apache-2.0 WITH LLVM-exception",
        "https://llvm.org, file compiler-rt/LICENSE.TXT",
        "helper functions",
    ),
    ("Zig compiler_rt", "MIT", "https://ziglang.org, file LICENSE", "helper functions of the compiler"),
    (
        "MinGW-w64 runtime",
        "ZPL-2.1",
        "https://www.mingw-w64.org, file COPYING.MinGW-w64-runtime",
        "start-up code, on Windows",
    ),
)


def files(others: Iterable[tuple[str, str, str, str]] = ()) -> dict[str, bytes]:
    """The content of licences/; `others` are parts that are in this bundle only, as those above."""
    lines = ["Software in this bundle, and the terms it comes under.", ""]
    for name, spdx, where, what in (*_PARTS, *others):
        lines += [name, f"  licence: {spdx}", f"  source:  {where}", f"  used as: {what}", ""]
    lines += ["The model and its weights keep the licence of whoever made them.", ""]
    return {"licences/NOTICE.txt": "\n".join(lines).encode()}
