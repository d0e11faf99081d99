"""coremltools, imported when first needed and without what it prints: Apple's binary parts are missing off macOS."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType

from edgeort.errors import MissingExtraError


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drops coremltools' warnings, its log up to errors, and the progress bars it writes to stderr."""
    log = logging.getLogger("coremltools")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Drops what native code writes to stderr: coremltools imports TensorFlow where it is there, which greets."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def coremltools() -> ModuleType:
    """The package. MissingExtraError where it is not installed."""
    loaded = sys.modules.get("coremltools")
    if loaded is not None:
        return loaded
    try:
        with quiet(), _silent():
            return importlib.import_module("coremltools")
    except ImportError as error:
        raise MissingExtraError("Core ML models need coremltools", hint="pip install 'edgeort[coreml]'") from error
