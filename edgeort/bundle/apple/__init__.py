"""Apps of Apple's: a Swift package with the runtime as an XCFramework, or with a package of Core ML."""

from __future__ import annotations

from edgeort.bundle.apple.packaging import package

__all__ = ["package"]
