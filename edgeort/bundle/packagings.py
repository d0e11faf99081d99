"""The kinds of packages: the option of `edgeort package`, and what makes it."""

from __future__ import annotations

from collections.abc import Mapping

from edgeort.bundle import android, apple
from edgeort.bundle.packages import Packaging

PACKAGINGS: Mapping[str, Packaging] = {
    "android": android.package,
    "ios": apple.package,
}
