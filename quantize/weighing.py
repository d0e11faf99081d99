"""What is chosen for a whole model by the noise at its outputs: the method of ranges, and scales for channels.

Both are told by models without refinement on few samples: refinement takes as long for each, and ranks them the same.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from edgeort.quantize.attempts import Attempts, spread_over
from edgeort.quantize.channels import keeps_channels_apart
from edgeort.quantize.ranges import AUTO, CHOICES
from edgeort.quantize.selection import Selection

GAIN = 0.97  # of the noise of least squares, at most, that other ranges leave
_LEAST = 1e-30  # of noise, in its logarithm


@dataclass(frozen=True)
class ChannelScales:
    """What scales for channels are worth to so many `tensors`, which only depthwise convolutions read; `used` or not.

    `plain_db` is the SQNR of the noisiest output with one scale for each tensor, `own_db` with those for channels, both
    on few samples and before refinement.
    """

    tensors: int
    plain_db: float
    own_db: float
    used: bool

    @property
    def text(self) -> str:
        """`SQNR 17.3 dB instead of 15.0, before refinement`."""
        return f"SQNR {self.own_db:.1f} dB instead of {self.plain_db:.1f}, before refinement"


def with_best_ranges(
    attempts: Attempts, selection: Selection, method: str, exclude: Collection[str]
) -> tuple[Attempts, str]:
    """The ranges by the method that leaves the least noise at the outputs of a model without refinement.

    The first one's are kept unless another's leave `GAIN` of their noise at most: less is chance among few samples.
    """
    choices = attempts.calibration.choices if selection.tensors else {}
    trials = {
        name: replace(
            attempts, calibration=replace(attempts.calibration, ranges=ranges), ranges=spread_over(selection, ranges)
        )
        for name, ranges in choices.items()
    }
    if len(trials) < 2:
        return attempts, next(iter(trials), CHOICES[0] if method == AUTO else method)
    noise = {name: trial.noise(exclude) for name, trial in trials.items()}
    best = min(noise, key=noise.__getitem__)
    best = best if noise[best] <= GAIN * noise[CHOICES[0]] else CHOICES[0]
    return trials[best], best


def with_channel_scales(
    attempts: Attempts, selection: Selection, exclude: Collection[str], *, weigh: bool
) -> tuple[Attempts, ChannelScales | None]:
    """The attempts, with scales for channels where they may have some and that leaves no more noise.

    None where there is no tensor for them. Where they may not have any, their worth is measured if `weigh` asks for it.
    """
    reach, plain = attempts.calibration.reach, replace(attempts, own_runtime=False)
    tensors = sum(str(value.name) in reach and keeps_channels_apart(value) for value in selection.tensors)
    if not tensors:
        return plain, None
    if not (attempts.own_runtime or weigh):
        return attempts, None
    noises = [replace(attempts, own_runtime=own).noise(exclude) for own in (False, True)]
    is_used = attempts.own_runtime and noises[1] <= noises[0]
    plain_db, own_db = (-10 * math.log10(max(noise, _LEAST)) for noise in noises)
    return attempts if is_used else plain, ChannelScales(tensors, plain_db, own_db, is_used)
