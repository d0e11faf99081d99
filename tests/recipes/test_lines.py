"""CTC decoding behind a model, against its rules written down in Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeort.errors import InputError
from tests.recipes.attached import behind, identity, run

ALPHABET = ["a", "b", "ß", "日", " ", "~~", "é"]


def decoded(scores: np.ndarray, characters: list[str], blank: int) -> tuple[list[str], list[float]]:
    """The lines of scores [batch, steps, classes], and their mean scores."""
    texts, means = [], []
    spelt = [*characters[:blank], "", *characters[blank:]]
    for line in scores:
        kept, before = [], -1
        for step in line:
            best = int(step.argmax())
            if best not in (before, blank):
                kept.append((spelt[best], float(step[best])))
            before = best
        texts.append("".join(text for text, _ in kept))
        means.append(float(np.mean([score for _, score in kept])) if kept else 0.0)
    return texts, means


@pytest.fixture
def characters(tmp_path: Path) -> Path:
    path = tmp_path / "characters.txt"
    path.write_text("\n".join(ALPHABET) + "\n", encoding="utf-8")
    (tmp_path / "plans").mkdir()
    return path


def lines(batch: int, steps: int, classes: int, blank: int, seed: int = 0) -> np.ndarray:
    """Scores with many repetitions and blanks."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0, 0.5, (batch, steps, classes)).astype(np.float32)
    best = rng.choice([blank, *rng.integers(0, classes, 3)], (batch, steps))
    np.put_along_axis(scores, best[..., None], rng.uniform(0.5, 1, (batch, steps, 1)).astype(np.float32), -1)
    return scores


@pytest.mark.parametrize("opset", [11, 17, 20])
@pytest.mark.parametrize(("batch", "steps", "blank"), [(1, 40, 0), (3, 17, 7), (2, 1, 3)])
def test_ctc(batch: int, steps: int, blank: int, opset: int, characters: Path):
    scores = lines(batch, steps, 8, blank)
    attached = behind(identity("float[N, T, 8] y", opset=opset), f"ctc blank={blank} characters={characters}")
    assert attached.outputs == ("text", "score")
    found = run(attached, [scores], characters.parent / "plans")
    texts, means = decoded(scores, ALPHABET, blank)
    assert list(found["text"]) == texts
    np.testing.assert_allclose(found["score"], means, rtol=1e-6)


def test_nothing_but_blanks(characters: Path):
    scores = np.zeros((2, 5, 8), np.float32)
    scores[:, :, 0] = 1
    attached = behind(identity("float[N, T, 8] y"), f"ctc characters={characters}")
    found = run(attached, [scores], characters.parent / "plans")
    assert list(found["text"]) == ["", ""] and list(found["score"]) == [0, 0]


def test_logits_become_probabilities_first(characters: Path):
    scores = 20 * lines(2, 9, 8, 0)
    attached = behind(identity("float[N, T, 8] y"), f"softmax; ctc characters={characters}")
    assert attached.outputs == ("text", "score")
    found = run(attached, [scores], characters.parent / "plans")
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    texts, means = decoded(e / e.sum(axis=-1, keepdims=True), ALPHABET, 0)
    assert list(found["text"]) == texts
    np.testing.assert_allclose(found["score"], means, rtol=1e-5)


def test_characters_of_the_metadata_and_the_space_that_paddle_adds(characters: Path):
    model = identity("float[N, T, 8] y")
    entry = model.metadata_props.add()
    entry.key, entry.value = "character", "\n".join("abcdef")
    scores = lines(2, 30, 8, 0, seed=5)
    found = run(behind(model, "ctc"), [scores], characters.parent / "plans")
    assert list(found["text"]) == decoded(scores, [*"abcdef", " "], 0)[0]


@pytest.mark.parametrize(
    ("output", "recipe", "message"),
    [
        ("float[N, T, 10] y", "ctc characters={}", "has 7 characters, and output 'y' of the model 10 classes"),
        ("float[N, T, 8] y", "ctc", "does not say which characters"),
        ("float[N, 8] y", "ctc characters={}", "no CTC output"),
        ("float[N, T, 8] y", "ctc characters={} blank=8", "8 is none of them"),
    ],
)
def test_what_does_not_fit_is_named(output: str, recipe: str, message: str, characters: Path):
    with pytest.raises(InputError, match=message):
        behind(identity(output), recipe.format(characters))
