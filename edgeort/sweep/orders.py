"""From an order, as it is sent to a worker, to what a build and a measurement take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeort import device_profiles, pipeline
from edgeort.device_profiles import Profile
from edgeort.device_profiles.schema import Where, read_table
from edgeort.devices.where import parse
from edgeort.recipes.picture import Recipe
from edgeort.recipes.picture_steps import parse as parse_recipe
from edgeort.sweep import files
from edgeort.sweep.files import Parcel
from edgeort.sweep.places import Place
from edgeort.sweep.settings import PATHS, Settings
from edgeort.validate import Exam, Limits


def settings(order: Mapping[str, Any], parcels: Mapping[str, Parcel]) -> Settings:
    """The order's settings, with paths as they are on this machine."""
    table = dict(order["settings"])
    name = table.pop("name")
    placed = {role: str(files.place(parcels[role])) for role in PATHS if role in parcels}
    return read_table(Settings, {**table, **placed}, Where("settings"), name=name)


def place(order: Mapping[str, Any]) -> Place:
    """The order's place; a name from edgeort.toml is that of this machine's."""
    table = dict(order["profile"])
    name = table.pop("name")
    where = None if order["where"] is None else str(parse(order["where"]))
    return Place(device_profiles.parse(table, name=name, file=f"{name}.toml"), where)


def with_budget(profile: Profile, settings: Settings) -> Profile:
    """The profile with the limits of the settings in the place of its own."""
    own: dict[str, Any] = {
        "latency_ms": settings.max_latency_ms,
        "size_kb": settings.max_size_kb,
        "ram_mb": settings.max_rss_mb,
    }
    given = {key: value for key, value in own.items() if value is not None}
    return replace(profile, budget=replace(profile.budget, **given))


def accuracy(settings: Settings) -> pipeline.Accuracy:
    """What calibrates and judges the build."""
    prune = settings.prune
    return pipeline.Accuracy(
        precision=settings.precision,  # type: ignore[arg-type]
        data=None if settings.data is None else Path(settings.data),
        eval_data=None if settings.eval_data is None else Path(settings.eval_data),
        labels=settings.labels,
        task=settings.task,
        limits=Limits(settings.max_drop, settings.min_agreement, settings.min_sqnr),
        output=settings.output,
        characters=None if settings.characters is None else Path(settings.characters),
        samples=settings.samples,
        exclude=settings.exclude or (),
        recipe=recipe(settings),
        prune="auto" if prune == "auto" else None if prune is None else float(prune),
        sparsity=settings.sparsity,
        threshold=settings.threshold,
    )


def recipe(settings: Settings) -> Recipe | None:
    """How pictures become inputs. InputError names the step that is wrong."""
    return None if settings.preprocess is None else parse_recipe(settings.preprocess, "preprocess")


def wish(settings: Settings) -> pipeline.Wish:
    """The provider that is wanted."""
    options = (option.partition("=") for option in settings.provider_option or ())
    wanted, required = settings.require or settings.provider, settings.require is not None
    return pipeline.Wish(wanted, required, {key.strip(): value.strip() for key, _, value in options})


def exam(settings: Settings) -> Exam | None:
    """What a device is asked: the samples that judged the build; None where those are a part of `data`."""
    asked = accuracy(settings)
    judging = asked.eval_data or (None if asked.calibrates else asked.data)
    if judging is None:
        return None
    return Exam(
        judging, asked.labels, asked.task, asked.limits, asked.output, asked.characters, asked.samples, asked.threshold
    )
