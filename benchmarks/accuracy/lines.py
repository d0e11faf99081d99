"""Pictures of lines of text for a recogniser of PP-OCR's kind (Du et al. 2020), rendered from seeds.

Words, numbers, codes, amounts, dates, addresses and Chinese, in the fonts of the machine, in sizes, colours, contrasts,
tilts, blurs and noises of many kinds.
"""

from __future__ import annotations

import math
import pydoc_data.topics
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from edgeort.errors import ModelError

FONTS = Path("/usr/share/fonts")
HEIGHT, MOST_WIDTH = 48, 960
_CJK = ("wqy", "CJK", "uming", "ukai", "Droid Sans Fallback")
_UNFIT = ("Math", "Symbol", "Icon", "Mono-Oblique", "ExtraLight", "Hairline", "Thin")
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"


@dataclass(frozen=True)
class Line:
    """A text and its picture as the recogniser's input, float32 [1, 3, 48, width]."""

    text: str
    picture: np.ndarray


def line(seed: int) -> Line:
    """The line of that seed: the same one on every machine that has the same fonts."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(len(_KINDS), p=_SHARES)
    text = _KINDS[kind](rng)
    fonts = _fonts(chinese=_KINDS[kind] is _chinese)
    font = ImageFont.truetype(str(fonts[rng.integers(len(fonts))]), int(rng.integers(24, 56)))
    return Line(text, _as_input(_spoilt(_drawn(text, font, rng), rng)))


@cache
def _fonts(chinese: bool) -> list[Path]:
    files = sorted(file for end in ("ttf", "ttc", "otf") for file in FONTS.rglob(f"*.{end}"))
    found = [
        file
        for file in files
        if any(name in file.name for name in _CJK) == chinese and not any(name in file.name for name in _UNFIT)
    ]
    if not found:
        raise ModelError(f"{FONTS} has no fit font", hint="apt install fonts-dejavu-core fonts-wqy-zenhei")
    return found


@cache
def _vocabulary() -> list[str]:
    words = re.findall(r"[A-Za-z]{3,10}", " ".join(pydoc_data.topics.topics.values()))
    return sorted({word.lower() for word in words})


@cache
def _common_chinese() -> list[str]:
    """The 3755 characters of GB 2312's first level: the common ones."""
    rows = [bytes((row, cell)) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF)]
    return [pair.decode("gb2312") for pair in rows if not (pair[0] == 0xD7 and pair[1] > 0xF9)]


def _words(rng: np.random.Generator) -> str:
    chosen = [str(word) for word in rng.choice(_vocabulary(), rng.integers(1, 5))]
    case = rng.integers(3)
    return " ".join(word.upper() if case == 0 else word.capitalize() if case == 1 else word for word in chosen)


def _code(rng: np.random.Generator) -> str:
    parts = ["".join(rng.choice(list(_LETTERS), rng.integers(3, 6))) for _ in range(rng.integers(1, 4))]
    return "-".join(parts)


def _amount(rng: np.random.Generator) -> str:
    number = f"{rng.integers(100, 10**7) / 100:,.2f}"
    return f"{rng.choice(['$', '£', 'EUR ', 'Total: ', ''])}{number}"


def _date(rng: np.random.Generator) -> str:
    year, month, day, hour, minute = (
        int(rng.integers(*ends)) for ends in ((1990, 2030), (1, 13), (1, 29), (24,), (60,))
    )
    forms = (f"{year}-{month:02}-{day:02}", f"{day:02}.{month:02}.{year}", f"{hour:02}:{minute:02} {day:02}/{month:02}")
    return forms[rng.integers(len(forms))]


def _address(rng: np.random.Generator) -> str:
    first, second = (str(word) for word in rng.choice(_vocabulary(), 2))
    return (f"{first}@{second}.com", f"www.{first}.org/{second}", f"{rng.integers(1, 400)} {first.title()} Street")[
        rng.integers(3)
    ]


def _chinese(rng: np.random.Generator) -> str:
    return "".join(rng.choice(_common_chinese(), rng.integers(3, 13)))


_KINDS = (_words, _code, _amount, _date, _address, _chinese)
_SHARES = (0.35, 0.1, 0.1, 0.1, 0.1, 0.25)


def _drawn(text: str, font: ImageFont.FreeTypeFont, rng: np.random.Generator) -> Image.Image:
    """Dark on light or the reverse, with some room around, slightly tilted."""
    paper, ink = rng.integers(150, 256, 3), rng.integers(0, 100, 3)
    if rng.random() < 0.25:
        paper, ink = ink, paper
    if rng.random() < 0.2:
        ink = paper + (ink - paper) * rng.uniform(0.4, 0.6)
    left, top, right, bottom = font.getbbox(text)
    room = int(rng.integers(3, 10))
    size = int(right - left) + 2 * room, int(bottom - top) + 2 * room
    picture = Image.new("RGB", size, tuple(int(x) for x in paper))
    ImageDraw.Draw(picture).text((room - left, room - top), text, tuple(int(x) for x in ink), font)
    if rng.random() < 0.3:
        tilt = math.degrees(math.atan(rng.uniform(-0.25, 0.25) * size[1] / size[0]))
        picture = picture.rotate(tilt, Image.Resampling.BICUBIC, expand=True, fillcolor=tuple(int(x) for x in paper))
    return picture


def _spoilt(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    if rng.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.0))))
    if rng.random() < 0.25:
        share = float(rng.uniform(0.6, 0.9))
        small = picture.resize((max(int(picture.width * share), 8), max(int(picture.height * share), 8)))
        picture = small.resize(picture.size, Image.Resampling.BILINEAR)
    if rng.random() < 0.3:
        pixels = np.asarray(picture, np.float32) + rng.normal(0, rng.uniform(3, 12), (picture.height, picture.width, 3))
        picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return picture


def _as_input(picture: Image.Image) -> np.ndarray:
    """Height 48, BGR, (x / 255 - 0.5) / 0.5, as PP-OCR trains."""
    width = min(max(math.ceil(HEIGHT * picture.width / picture.height), HEIGHT), MOST_WIDTH)
    pixels = np.asarray(picture.resize((width, HEIGHT), Image.Resampling.BILINEAR), np.float32)[..., ::-1]
    return np.ascontiguousarray(((pixels / 255 - 0.5) / 0.5).transpose(2, 0, 1)[np.newaxis])
