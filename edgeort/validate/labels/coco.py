"""Boxes of objects: a JSON file as the COCO data set has it (https://cocodataset.org/#format-data).

instances.json  "images" with id, file_name, width, height; "categories" with id; "annotations" with image_id,
                category_id, bbox [x, y, width, height] in pixels of the picture, and where there are such area (else
                that of the box) and iscrowd. Class 0 of the model is the category with the least id, and so on.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from edgeort.errors import InputError
from edgeort.quantize.samples import Samples
from edgeort.recipes.front import Front
from edgeort.recipes.picture import Placement
from edgeort.validate.labels.label import Truth, check_known

_HINT = "a file of the COCO data set, such as instances_val2017.json"


def read_boxes(source: str, names: Sequence[str], samples: Samples) -> dict[str, Truth]:
    """The objects in each picture; a picture may have none. InputError names the file and the entry that is wrong.

    Of pictures, boxes are found where the recipe puts them; of arrays, coordinates are those of the input.
    """
    path = Path(source)
    content = _content(path)
    categories = sorted(_number(one, "id", f"{path}: categories[{i}]") for i, one in enumerate(content["categories"]))
    files = dict(_files(content["images"], names, path))
    check_known([str(image["file_name"]) for image in content["images"]], [*names, *files.values()], path)
    objects = _objects(content["annotations"], {id: place for place, id in enumerate(categories)}, path)
    found = {}
    for index, image in enumerate(content["images"]):
        id = _number(image, "id", f"{path}: images[{index}]")
        if id not in files:
            continue
        if files[id] in found:
            raise InputError(f"{path}: images[{index}]: {image['file_name']} stands there twice")
        truth = _truth(id, objects.get(id, []), len(categories))
        if isinstance(samples.front, Front):
            size = tuple(_number(image, key, f"{path}: images[{index}]") for key in ("height", "width"))
            truth = _placed(truth, samples.front.placement((size[0], size[1])))
        found[files[id]] = truth
    return found


def _content(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint=_HINT) from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}", hint=_HINT) from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise InputError(f"{path}: it has no list {key!r}", hint=_HINT)
        if wrong := [index for index, entry in enumerate(content[key]) if not isinstance(entry, dict)]:
            raise InputError(f"{path}: {key}[{wrong[0]}] is no object", hint=_HINT)
    return content


def _files(images: Sequence[Mapping[str, Any]], names: Sequence[str], path: Path) -> Iterator[tuple[int, str]]:
    """Image numbers and the samples that they are: of that path, or the only one of that file name."""
    last = defaultdict(list)
    for name in names:
        last[PurePosixPath(name).name].append(name)
    known = set(names)
    for index, image in enumerate(images):
        file = image.get("file_name")
        if not isinstance(file, str):
            raise InputError(f"{path}: images[{index}] has no file_name", hint=_HINT)
        found = [file] if file in known else last[PurePosixPath(file).name]
        if len(found) > 1:
            raise InputError(f"{path}: images[{index}]: {file} may be {found[0]} or {found[1]}")
        if found:
            yield _number(image, "id", f"{path}: images[{index}]"), found[0]


def _objects(
    annotations: Sequence[Mapping[str, Any]], places: Mapping[int, int], path: Path
) -> dict[int, list[tuple[list[float], int, float, bool]]]:
    """Box (x, y, width, height), class, area and whether it is a crowd, by image."""
    found = defaultdict(list)
    for index, one in enumerate(annotations):
        where = f"{path}: annotations[{index}]"
        category = _number(one, "category_id", where)
        if category not in places:
            raise InputError(f"{where}: there is no category {category}", hint=_HINT)
        box = one.get("bbox")
        if not isinstance(box, list) or len(box) != 4 or not all(_is_real(side) for side in box):
            raise InputError(f"{where}: bbox is {box!r}, not [x, y, width, height]", hint=_HINT)
        area = one.get("area", box[2] * box[3])
        if not _is_real(area) or box[2] < 0 or box[3] < 0:
            raise InputError(f"{where}: bbox {box} or area {area!r} is no size", hint=_HINT)
        found[_number(one, "image_id", where)].append((box, places[category], area, bool(one.get("iscrowd", 0))))
    return found


def _truth(image: int, objects: Sequence[tuple[list[float], int, float, bool]], classes: int) -> Truth:
    boxes, categories, areas, crowds = zip(*objects, strict=True) if objects else ((), (), (), ())
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    kinds = np.array(categories, np.int64), np.array(areas, np.float64), np.array(crowds, bool)
    return Truth(image, corners, *kinds, classes)


def _placed(truth: Truth, placement: Placement) -> Truth:
    return replace(truth, scale=placement.scale, offset=(-placement.left, -placement.top))


def _number(entry: Mapping[str, Any], key: str, where: str) -> int:
    value = entry.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{where}: {key} is {value!r}, no whole number", hint=_HINT)
    return value


def _is_real(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")
