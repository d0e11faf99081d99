"""What is quantised and how it is judged: models, samples to calibrate on, and others to judge by."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks import models
from benchmarks.accuracy import byte_files, pairs, text
from edgeort.errors import InputError, ModelError
from edgeort.quantize.measuring import Difference
from edgeort.validate.metrics.correlation import pearson, ranks

Sample = dict[str, np.ndarray]
SAMPLE = models.ROOT.parent / "shared" / "data" / "imagenet-sample"
PICTURES = Path(os.environ.get("EDGEORT_PICTURES", SAMPLE))
PAIRS = Path(os.environ.get("EDGEORT_PAIRS", SAMPLE.parent / "sts"))
CALIBRATE = 100  # samples
LINES = 600  # of text, that judge a recogniser
_LEAST = 1e-9  # of a probability: below, float32 is as good as zero


@dataclass(frozen=True)
class Lazily(Sequence[Sample]):
    """Samples that are made when they are asked for, so that they take no memory."""

    items: Sequence[Any]
    make: Callable[[Any], Sample]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        chosen = self.items[index]
        return Lazily(chosen, self.make) if isinstance(index, slice) else self.make(chosen)


class Judge:
    """Compares the first output on sample after sample; `rows` are the columns of the table."""

    def __init__(self) -> None:
        self.difference = Difference("")

    def add(self, index: int, reference: np.ndarray, found: np.ndarray) -> None:
        """The outputs of both models on sample `index`."""
        self.difference.add(reference, found)

    def row(self) -> dict[str, float]:
        """Names to numbers."""
        d = self.difference
        return {"SQNR dB": d.sqnr_db, "KL": d.kl, "agree %": 100 * d.agreement}


@dataclass
class Labelled(Judge):
    """Also knows what is right."""

    labels: Sequence[int]
    right: list[int] = field(default_factory=lambda: [0, 0])

    def __post_init__(self) -> None:
        super().__init__()

    def add(self, index: int, reference: np.ndarray, found: np.ndarray) -> None:
        super().add(index, reference, found)
        for which, output in enumerate((reference, found)):
            self.right[which] += int(output.argmax()) == self.labels[index]

    def row(self) -> dict[str, float]:
        top = [100 * count / len(self.labels) for count in self.right]
        return super().row() | {"top-1 %": top[1], "float's top-1 %": top[0]}


@dataclass
class Reader(Judge):
    """Texts read by connectionist temporal classification (Graves et al. 2006), spaces ignored.

    Lost are lines that float reads right and the other does not, won the reverse. KL is of the steps' probabilities.
    """

    texts: Callable[[int], str]
    characters: Sequence[str]
    read: list[tuple[bool, bool, bool]] = field(default_factory=list)
    divergence: float = 0.0

    def __post_init__(self) -> None:
        super().__init__()

    def add(self, index: int, reference: np.ndarray, found: np.ndarray) -> None:
        super().add(index, reference, found)
        p, q = (np.maximum(array, _LEAST) for array in (reference, found))
        self.divergence += float((p * np.log(p / q)).sum())
        wanted, by_float, by_int8 = (
            t.replace(" ", "") for t in (self.texts(index), *map(self._text, (reference, found)))
        )
        self.read.append((by_float == wanted, by_int8 == wanted, by_float == by_int8))

    def _text(self, scores: np.ndarray) -> str:
        best = scores[0].argmax(axis=1)
        kept = best[(best > 0) & (best != np.concatenate([[0], best[:-1]]))]
        return "".join(self.characters[i - 1] if i <= len(self.characters) else " " for i in kept)

    def row(self) -> dict[str, float]:
        by_float, by_int8, same = (100 * sum(column) / len(self.read) for column in zip(*self.read, strict=True))
        lost = sum(before and not after for before, after, _ in self.read)
        won = sum(after and not before for before, after, _ in self.read)
        return {
            "SQNR dB": self.difference.sqnr_db,
            "KL": self.divergence / max(self.difference.rows, 1),
            "exact %": by_int8,
            "lost": lost,
            "won": won,
            "agree %": same,
            "float's exact %": by_float,
        }


class Embedding(Judge):
    """The mean over tokens as a sentence's vector."""

    def __init__(self) -> None:
        super().__init__()
        self.cosines: list[float] = []

    def add(self, index: int, reference: np.ndarray, found: np.ndarray) -> None:
        r, q = (array.mean(axis=1) for array in (reference, found))
        super().add(index, r, q)
        self.cosines.append(float((r * q).sum() / np.sqrt((r * r).sum() * (q * q).sum())))

    def row(self) -> dict[str, float]:
        return {"SQNR dB": self.difference.sqnr_db, "cosine": float(np.mean(self.cosines)), "least": min(self.cosines)}


@dataclass
class Similarity(Embedding):
    """Of sentences two and two: how their cosines rank pairs, compared with people's scores."""

    scores: Sequence[float]
    vectors: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def add(self, index: int, reference: np.ndarray, found: np.ndarray) -> None:
        super().add(index, reference, found)
        r, q = (array.mean(axis=(0, 1)) for array in (reference, found))
        self.vectors.append((r / np.linalg.norm(r), q / np.linalg.norm(q)))

    def row(self) -> dict[str, float]:
        one, other = np.array(self.vectors[::2]), np.array(self.vectors[1::2])
        cosines, scores = (one * other).sum(axis=2), np.array(self.scores)
        by_float, by_int8 = (100 * pearson(ranks(cosines[:, i]), ranks(scores)) for i in range(2))
        return super().row() | {"Spearman %": by_int8, "float's Spearman %": by_float}


@dataclass(frozen=True)
class Case:
    """`data()` gives the samples to calibrate on, those to judge by, and the judge."""

    title: str
    model: Callable[[], Path]
    data: Callable[[], tuple[Sequence[Sample], Sequence[Sample], Judge]]
    transformer: bool = False
    agreement: float | None = None  # the budget for the search


def _pictures() -> tuple[Sequence[Sample], Sequence[Sample], Judge]:
    """Every fifth of the labelled pictures calibrates, as far as they go."""
    if not (PICTURES / "labels.csv").exists():
        raise ModelError(f"{PICTURES} is not there: pictures and labels.csv, file,class_index")
    example = models.module(models.ROOT / "examples" / "efficientnet_lite0.py")
    with (PICTURES / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = [(PICTURES / row["file"], int(row["class_index"])) for row in csv.DictReader(file)]
    judged = [row for i, row in enumerate(rows) if i % 5]
    load: Callable[[Path], Sample] = lambda path: {"image": example.load_image(path)}  # noqa: E731
    return (
        Lazily([path for path, _ in rows[::5]][:CALIBRATE], load),
        Lazily([path for path, _ in judged], load),
        Labelled([label for _, label in judged]),
    )


def _lines(count: int = LINES) -> tuple[Sequence[Sample], Sequence[Sample], Judge]:
    try:
        from benchmarks.accuracy import lines
    except ImportError as error:
        raise ModelError(f"{error.name} is not installed", hint="pip install pillow") from error
    line = cache(lines.line)
    metadata = {item.key: item.value for item in onnx.load(models.find_path("ppocr_rec")).metadata_props}
    make: Callable[[int], Sample] = lambda seed: {"x": lines.line(seed).picture}  # noqa: E731
    reader = Reader(lambda index: line(index).text, metadata["character"].splitlines())
    return Lazily(range(10_000, 10_000 + CALIBRATE), make), Lazily(range(count), make), reader


def _sentences() -> tuple[Sequence[Sample], Sequence[Sample], Judge]:
    chosen = text.sentences(CALIBRATE + 500)
    return _tokens(chosen[:CALIBRATE]), _tokens(chosen[CALIBRATE:]), Embedding()


def _pairs() -> tuple[Sequence[Sample], Sequence[Sample], Judge]:
    found = pairs.read(PAIRS, 2000)
    judged = [sentence for _, *both in found for sentence in both]
    return _tokens(text.sentences(CALIBRATE)), _tokens(judged), Similarity([score for score, _, _ in found])


def _tokens(chosen: Sequence[str]) -> Sequence[Sample]:
    """MiniLM's inputs."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ModelError("tokenizers is not installed", hint="pip install tokenizers") from error
    from benchmarks import minilm

    tokenizer = Tokenizer.from_file(str(minilm.weights() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)

    def make(sentence: str) -> Sample:
        ids = np.array([tokenizer.encode(sentence).ids], np.int64)
        return {"input_ids": ids, "attention_mask": np.ones_like(ids)}

    return Lazily(chosen, make)


def _files() -> tuple[Sequence[Sample], Sequence[Sample], Judge]:
    """Four hundred calibrate, because a budget of agreement is judged on some of them."""
    files = byte_files.files()
    make: Callable[[Path], Sample] = lambda path: {"bytes": byte_files.as_input(path)}  # noqa: E731
    calibrate = files[:: max(len(files) // 400, 2)]
    return Lazily(calibrate, make), Lazily([f for f in files if f not in set(calibrate)], make), Judge()


CASES: dict[str, Case] = {
    "efficientnet_lite0": Case("EfficientNet-Lite0", partial(models.find_path, "efficientnet_lite0"), _pictures),
    "ppocr_rec": Case("PP-OCRv4 recognition", partial(models.find_path, "ppocr_rec"), _lines),
    "minilm": Case("all-MiniLM-L6-v2", partial(models.find_path, "minilm"), _sentences, transformer=True),
    "minilm_pairs": Case("all-MiniLM-L6-v2, pairs", partial(models.find_path, "minilm"), _pairs, transformer=True),
    "magika": Case("Magika", partial(models.find_path, "magika"), _files, agreement=0.995),
}


def find(name: str, lines: int = LINES) -> Case:
    """The case, judged on so many lines where it is of lines. InputError for an unknown name, or no lines."""
    if name not in CASES:
        raise InputError(f"unknown case {name!r}", hint=f"the cases are {', '.join(CASES)}")
    if lines < 1:
        raise InputError(f"--lines {lines}: it is judged on 1 or more")
    case = CASES[name]
    return replace(case, data=partial(_lines, lines)) if case.data is _lines else case
