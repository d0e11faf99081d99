"""python -m tests.fuzz.in_python TARGET [OPTIONS OF LIBFUZZER]: a target of Python, led by the coverage of its modules.

Of the target's module, `one(data)` raises for a bug, and `mutate(data, most, seed)`, where there is one, changes inputs
in ways that keep them valid to some depth. `start()`, where there is one, is called once before.
"""

from __future__ import annotations

import importlib
import logging
import sys
import warnings

from tests.fuzz.targets import named


def main() -> None:
    """Never returns: libFuzzer ends the process."""
    import atheris

    target = named(sys.argv[1])
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    for module in [name for name in sys.modules if name.startswith(target.modules)]:
        del sys.modules[module]  # those that making seeds needed
    with atheris.instrument_imports(include=list(target.modules)):
        module = importlib.import_module(f"tests.fuzz.{target.name}_target")
    if hasattr(module, "start"):
        module.start()
    more = {"custom_mutator": module.mutate} if hasattr(module, "mutate") else {}
    atheris.Setup([sys.argv[0], *sys.argv[2:]], module.one, **more)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
