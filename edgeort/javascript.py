"""The module of JavaScript that a page loads: runtime/javascript in one file, since each file more is a wait more."""

from __future__ import annotations

import re

from edgeort.toolchain import RUNTIME

FOLDER = RUNTIME / "javascript"
# In the order of what they import, the module that has the API last: what the others export is its own then.
PARTS = ("errors.js", "feeds.js", "engine.js", "sources.js", "edgeort.js")
_HEAD = re.compile(r"(?://.*\n)+")
_PLAN_BYTES = "const PLAN_BYTES = 0;"
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./[^"]+";\n', re.MULTILINE)


def joined(plan_bytes: int) -> bytes:
    """lib/edgeort.js of a bundle whose plan has that size.

    The last part's head, then the parts without their imports of each other.
    """
    texts = [_IMPORT.sub("", (FOLDER / name).read_text(encoding="utf-8")) for name in PARTS]
    head = _HEAD.match(texts[-1])
    assert head
    texts[-1] = texts[-1][head.end() :]
    others = (re.sub(r"^export ", "", text, flags=re.MULTILINE) for text in texts[:-1])
    text = "\n".join((head.group(), *(text.strip("\n") + "\n" for text in (*others, texts[-1]))))
    assert text.count(_PLAN_BYTES) == 1
    return text.replace(_PLAN_BYTES, f"const PLAN_BYTES = {plan_bytes};").encode()
