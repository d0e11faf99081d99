"""python/edgeort_model.py of a bundle: `edgeort.embedded` and what it stands on, as one file.

The sources are joined as they are, without the imports of each other, so that it is the code that is tested here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from edgeort.bundle.manifest import Manifest

PLACE = "python/edgeort_model.py"

_SOURCES = ("errors", "values", "elements", "engine", "embedded")  # each imports from those before it alone
_SYSTEMS = ("linux", "macos", "windows")
_HEAD = '''\
"""Runs the model of this bundle: Python 3.10 or newer, with NumPy.

    from edgeort_model import Model

    model = Model()
    outputs = model.run({"x": array})    # {"y": array}
"""

from __future__ import annotations

'''


def files(manifest: Manifest) -> dict[str, bytes]:
    """The file, where the bundle has a library and the system usually has Python."""
    return {PLACE: module().encode()} if manifest.library and manifest.target.os in _SYSTEMS else {}


def module() -> str:
    """The content of the file."""
    folder = Path(__file__).parent.parent
    imports: dict[str, None] = {}
    bodies = []
    for name in _SOURCES:
        text = (folder / f"{name}.py").read_text(encoding="utf-8")
        lines, tree = text.splitlines(), ast.parse(text)
        for node in _dropped(tree):
            if not _is_ours(node) and not isinstance(node, ast.Expr):
                imports[ast.unparse(node)] = None
            for line in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[line] = ""
        bodies.append("\n".join(lines).strip())
    return _HEAD + "\n".join(sorted(imports)) + "\n\n\n" + "\n\n\n".join(bodies) + "\n"


def _dropped(tree: ast.Module) -> Iterator[ast.stmt]:
    """The docstring and the imports of a module."""
    if ast.get_docstring(tree) is not None:
        yield tree.body[0]
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node


def _is_ours(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in ("edgeort", "__future__")
