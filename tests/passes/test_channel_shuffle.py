from __future__ import annotations

import pytest

from edgeort.passes import cancel_transposes, name_dims, to_nhwc
from edgeort.passes.channel_shuffle import channel_shuffle
from tests.passes.harness import check, counts, model_of, random_weights

CONV = "Conv <pads = [1, 1, 1, 1]>"


def graph(first: str, perm: str, last: str, size: str = "7,8") -> str:
    length = {"first": first.count(",") + 1, "last": last.count(",") + 1}
    return f"""g (float[N,6,{size}] x) => (float[A,B,C,D] y)
        <int64[{length["first"]}] g1 = {{{first}}}, int64[{length["last"]}] g2 = {{{last}}}> {{
        a = {CONV} (x, w)  r = Reshape (a, g1)  t = Transpose <perm = [{perm}]> (r)  u = Reshape (t, g2)
        y = {CONV} (u, w) }}"""


@pytest.mark.parametrize(
    ("first", "last", "size"),
    [
        ("0, 2, 3, 7, 8", "0, 6, 7, 8", "7,8"),
        ("0, 3, 2, 7, 8", "0, -1, 7, 8", "7,8"),
        ("-1, 2, 3, 7, 8", "-1, 6, 7, 8", "7,8"),
    ],
)
def test_one_transpose_of_the_channels_is_left(first: str, last: str, size: str) -> None:
    model = model_of(graph(first, "0, 2, 1, 3, 4", last, size), weights=random_weights(w=(6, 6, 3, 3)))
    model, _ = check(model, (name_dims, channel_shuffle, to_nhwc, cancel_transposes), sizes={"N": 2})
    assert counts(model)["Transpose"] == 3  # the input's, the shuffle's, the output's


@pytest.mark.parametrize(
    ("first", "perm", "last"),
    [
        ("0, 2, 3, 7, 8", "0, 1, 2, 4, 3", "0, 6, 7, 8"),  # rows and columns change places
        ("0, 2, 3, 8, 7", "0, 2, 1, 3, 4", "0, 6, 7, 8"),  # so do their sizes
        ("0, 2, 3, 7, 8", "0, 2, 1, 3, 4", "0, 6, 8, 7"),
        ("0, 7, 6, 2, 4", "0, 2, 1, 3, 4", "0, 6, 7, 8"),
    ],
)
def test_near_misses_stay(first: str, perm: str, last: str) -> None:
    model = model_of(graph(first, perm, last), weights=random_weights(w=(6, 6, 3, 3)))
    before = counts(model)
    model, _ = check(model, (name_dims, channel_shuffle), sizes={"N": 2})
    assert counts(model) == before


def test_a_refusal_says_why() -> None:
    model = model_of(graph("0, 2, 3, 8, 7", "0, 2, 1, 3, 4", "0, 6, 7, 8"), weights=random_weights(w=(6, 6, 3, 3)))
    _, ctx = check(model, (name_dims, channel_shuffle), sizes={"N": 2})
    assert "not known to be those of a channel shuffle" in str(ctx.log[0])
