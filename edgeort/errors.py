"""The one tree of errors.

    EdgeortError                 exit status 2: the input is at fault, and the message says where
    ├── ModelError               the ONNX file: unreadable, truncated, unknown opset, hostile
    │   ├── UnsupportedError     a node that no kernel of ours (or of the chosen provider) can run
    │   └── ShapeError           a missing, malformed or contradictory shape
    ├── ProfileError             a device profile: unknown device, unknown key, bad value
    ├── PlanError                a plan the runtime refuses
    ├── ToolchainError           the compiler failed or is missing
    ├── BundleError              a bundle that is incomplete or was changed
    ├── InputError               data given to a model: name, shape, dtype, unreadable file
    ├── OutputError              a result that cannot be written: full disk, no permission
    ├── DeviceError              a device that cannot be reached or lacks a tool
    ├── OutOfMemoryError         the machine has no memory for a run; a MemoryError, too
    ├── MissingExtraError        an optional package is not installed
    ├── BudgetError              exit status 1: a budget was exceeded
    └── CheckError               exit status 1: a comparison or validation failed

The command line prints the message and, on a line of its own, the hint; anything that is not an
EdgeortError is a bug and shows its traceback.
"""

from __future__ import annotations


class EdgeortError(Exception):
    """What was wrong and where; `hint` says what to do next, with the exact command where there is one."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ModelError(EdgeortError):
    """The ONNX model is unreadable, inconsistent or unsafe."""


class UnsupportedError(ModelError):
    """A node cannot be run; the message names node, operator and the reason."""


class ShapeError(ModelError):
    """A shape is missing, malformed or contradicts the model."""


class ProfileError(EdgeortError):
    """A device profile is unknown or invalid; the message names file and key."""


class PlanError(EdgeortError):
    """The runtime refused a plan."""


class ToolchainError(EdgeortError):
    """The compiler is missing or failed."""


class BundleError(EdgeortError):
    """A bundle is incomplete, of another version, or a file in it was changed."""


class InputError(EdgeortError):
    """Data given to a model has the wrong name, shape or dtype, or cannot be read."""


class OutputError(EdgeortError):
    """A result cannot be written."""


class DeviceError(EdgeortError):
    """A device cannot be reached, or lacks what a run needs."""


class OutOfMemoryError(EdgeortError, MemoryError):
    """A model needs more memory than the system gives."""


class MissingExtraError(EdgeortError):
    """An optional package is not installed; the hint names the extra."""


class BudgetError(EdgeortError):
    """A budget of the build was exceeded."""

    exit_code = 1


class CheckError(EdgeortError):
    """A comparison or a validation failed."""

    exit_code = 1
