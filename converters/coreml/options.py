"""What a package is made for: the oldest system, how it computes, how it keeps its weights, what its input is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeort.errors import ProfileError, UnsupportedError
from edgeort.recipes.picture import Recipe

# The releases of Core ML by the iOS that brought them, and the macOS of the same year.
RELEASES = {15: 12, 16: 13, 17: 14, 18: 15, 26: 26}
_OSES = {"ios": "iOS", "macos": "macOS"}


@dataclass(frozen=True)
class Options:
    """How to write a package; the defaults suit the neural engine of every device since iOS 15.

    `precision` is what the program computes in; inputs and outputs stay float32. `weights` are those of convolutions
    and products: "int8" is linear and symmetric, a scale for each output channel, "palette4" 16 values for each tensor
    (k-means; depthwise filters get int8); both need iOS 16 or macOS 13. They are rounded without data: int8 of
    `edgeort quantize --activations float` is closer to the float model. `image` makes the model's only input, of rank
    4, a picture that the program normalises as `Recipe` says: see `features`. `os` and `min_os` are those of
    the profile's target.
    """

    os: str = "ios"
    min_os: str = "15.0"
    precision: Literal["float16", "float32"] = "float16"
    weights: Literal["float", "int8", "palette4"] = "float"
    image: Recipe | None = None
    author: str = ""
    description: str = ""

    @property
    def release(self) -> int:
        """The iOS whose Core ML the package may use: 15, 16, 17, 18 or 26. ProfileError where there is none."""
        if self.os not in _OSES:
            raise ProfileError(f"target.os = {self.os!r}: Core ML is on ios and macos")
        major = int(self.min_os.split(".")[0])
        versions = {ios: ios if self.os == "ios" else mac for ios, mac in RELEASES.items()}
        found = [ios for ios, version in versions.items() if version <= major]
        if not found:
            oldest = min(versions.values())
            raise ProfileError(
                f"target.min_os = {self.min_os!r}: ML programs need {_OSES[self.os]} {oldest}",
                hint=f'set min_os = "{oldest}.0" in the profile',
            )
        return max(found)

    def version(self, release: int) -> str:
        """The system of that release, such as `macOS 14`."""
        return f"{_OSES[self.os]} {release if self.os == 'ios' else RELEASES[release]}"

    def check(self) -> None:
        """UnsupportedError where the weights need a newer system than `min_os`. ProfileError as `release`."""
        if self.weights != "float" and self.release < 16:
            raise UnsupportedError(
                f"{self.weights} weights need {self.version(16)}, and min_os is {self.min_os}",
                hint=f'set min_os = "{self.version(16).split()[1]}.0" in the profile, or keep the weights float',
            )
