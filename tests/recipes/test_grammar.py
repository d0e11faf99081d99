"""The language of recipes: what it reads, what replaces a preset's step, and that errors point at the step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeort.errors import InputError
from edgeort.recipes.grammar import Arguments, Kind, Step, expanded, parse, read, text_of

KINDS = {
    "size": Kind(lambda a: ("size", a.choice(("near", "far"), "near"), a.size(), a.end()), "size HxW", "size"),
    "box": Kind(lambda a: ("box", a.size("to"), a.end()), "box to=HxW", "size"),
    "mean": Kind(lambda a: ("mean", a.numbers(), a.end()), "mean=NUMBER,...", "mean"),
    "top": Kind(lambda a: ("top", a.integer(default=5), a.flag("sorted", True), a.end()), "top N sorted=yes", "top"),
    "over": Kind(lambda a: ("over", a.number("iou", 0.5), a.text("labels", "none"), a.end()), "over iou=0.5", "over"),
}
PRESETS = {"usual": "size 8x9; mean=1,2"}


def test_steps_are_names_words_and_options():
    assert parse(" Size  near 8X9 ;; MEAN=1,2;\nover IoU=0.4 labels=A.txt;") == (
        Step("size", ("near", "8X9")),
        Step("mean", ("1,2",)),
        Step("over", (), (("iou", "0.4"), ("labels", "A.txt"))),
    )
    assert text_of(parse("size   far 8;mean=1; over iou=1/4")) == "size far 8; mean=1; over iou=1/4"
    assert parse("crop=224") == parse("crop 224")


def test_arguments_become_values():
    made = read("size 8x9 far; mean 1/4,2e-3,-1; top sorted=no; over", KINDS)
    assert [step[:-1] for step in made] == [
        ("size", "far", (8, 9)),
        ("mean", (0.25, 0.002, -1.0)),
        ("top", 5, False),
        ("over", 0.5, "none"),
    ]
    assert read("box to=7", KINDS)[0][1] == (7, 7)


def test_a_step_behind_a_preset_replaces_the_one_of_its_slot():
    def texts(text: str) -> str:
        return text_of(expanded(parse(text), KINDS, PRESETS))

    assert texts("usual") == "size 8x9; mean=1,2"
    assert texts("usual; mean=3; top 2") == "size 8x9; mean=3; top 2"
    assert texts("Usual; box to=3") == "box to=3; mean=1,2"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no step"),
        (" ; ", "no step"),
        ("size 8; siez 9", "step 2, 'siez 9': unknown; 'size' is near"),
        ("top; usual", "step 2, 'usual': unknown"),
        ("size 8; size 9", "step 2, 'size 9': there is 'size 8' already"),
        ("size 8; box to=9", "step 2, 'box to=9': there is 'size 8' already"),
        ("usual; mean=3; mean=4", "step 3, 'mean=4': there is 'mean=3' already"),
        ("usual 3", "takes no arguments"),
        ("size 8 near far", "near and far exclude each other"),
        ("size 0", "'0' is no size"),
        ("size 8x9x9", "no size"),
        ("size", "an argument is missing"),
        ("box 8", "to= is missing"),
        ("mean=", "an assignment has one value"),
        ("mean=1, 2", "an assignment has one value"),
        ("mean 1,x", "'x' is no number"),
        ("mean 1/0", "'1/0' is no number"),
        ("mean nan", "no number"),
        ("top 2.5", "no whole number"),
        ("mean 1e39", "'1e39' is no number"),
        pytest.param(f"top {'9' * 5000}", "no whole number", id="many digits"),
        pytest.param(f"size {'9' * 5000}", "no size", id="a side of many digits"),
        ("top 0", "'0' is no whole number of 1 to 1048576"),
        ("top sorted=maybe", "sorted is yes or no"),
        ("top 5 6", "it takes no 6"),
        ("over iou=1 iou=2", "'iou=2' is given twice"),
        ("over =2", "not KEY=VALUE"),
        ("over score=2", "it takes no score=2"),
        ("o/v", "no name of a step"),
    ],
)
def test_errors_point_at_the_step(text: str, told: str):
    with pytest.raises(InputError) as caught:
        read(text, KINDS, PRESETS, "--preprocess")
    assert str(caught.value).startswith("--preprocess: ") and told in str(caught.value)
    assert caught.value.hint


def test_a_choice_may_be_needed():
    with pytest.raises(InputError, match="one of a, b is missing"):
        Arguments(Step("x", place=1), "x a").choice(("a", "b"))


@given(st.text(max_size=60))
def test_any_text_is_steps_or_an_error(text: str):
    try:
        steps = parse(text)
    except InputError:
        return
    assert parse(text_of(steps)) == steps
