"""Lines of text, as recognisers with a CTC output spell them.

    text     string [batch]
    score    float32 [batch]   mean of the scores of the characters; 0 where there are none

The main output is [batch, steps, classes]. Greedy decoding: the largest class of each step, the first of equal ones;
repetitions are joined, blanks go (Graves et al. 2006, "Connectionist Temporal Classification", section 3.2).
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeort.errors import InputError
from edgeort.model.bodies.builder import FLOAT, INT64, STRING
from edgeort.recipes.grammar import Arguments
from edgeort.recipes.labels import Names, read_characters
from edgeort.recipes.tail import Tail, dims_of

DOMAIN = "edgeort.text"
METADATA = "character"  # where exports of PaddleOCR's recognisers keep the characters
JOIN = "JoinStrings"
# Bodies for ONNX Runtime; the runtime has a kernel.
JOIN_BODY = """<domain: "edgeort.text", opset_import: ["": 20]> JoinStrings (strings, entries, kept) => (joined) {
    all = Gather (strings, entries) none = Constant <value_string = ""> () wanted = Where (kept, all, none)
    lines = Shape <start = 0, end = 1> (entries) first = Expand (none, lines)
    last = Shape <start = 1, end = 2> (entries) axes = Constant <value_ints = [0]> () steps = Squeeze (last, axes)
    always = Constant <value = bool {1}> ()
    joined = Loop (steps, always, first) <body = step (int64 i, bool go, string[N] text) =>
        (bool on, string[N] longer) { on = Identity (go)
        next = Gather <axis = 1> (wanted, i) longer = StringConcat (text, next) }> }"""


@dataclass(frozen=True)
class Ctc:
    """`characters` are of the classes but the blank, in their order; None: those of the model's metadata."""

    blank: int
    characters: Names | None

    def write(self, tail: Tail) -> None:
        """The best class of each step, which of them are spelt, and the join."""
        main = tail.raw()
        dims = dims_of(main)
        if dims is None or len(dims) != 3 or dims[2] is None:
            raise InputError(
                f"output {main.name!r} of the model is no CTC output: those are [batch, steps, classes]",
                hint="--shape INPUT=1x3x48x320 fixes what is free",
            )
        table = tail.texts(self._table(tail, dims[2], str(main.name)))
        scores = tail.scores
        best = tail.reduce("ReduceMax", scores, [2], keepdims=0)
        classes = tail.op("ArgMax", tail.ranks, axis=2, keepdims=0)
        before = tail.op("Slice", classes, tail.ints(0), tail.ints(-1), tail.ints(1))
        batch = tail.op("Slice", tail.op("Shape", classes), tail.ints(0), tail.ints(1))
        start = tail.op("Expand", tail.array([[-1]], INT64), tail.op("Concat", batch, tail.ints(1), axis=0))
        repeated = tail.op("Equal", classes, tail.op("Concat", start, before, axis=1))
        blank = tail.op("Equal", classes, tail.array(self.blank, INT64))
        kept = tail.op("Not", tail.op("Or", repeated, blank))
        tail.result("text", tail.op(JOIN, table, classes, kept, domain=DOMAIN), STRING)
        ones = tail.cast(kept, FLOAT)
        sums = (tail.reduce("ReduceSum", value, [1], keepdims=0) for value in (tail.op("Mul", best, ones), ones))
        total, count = sums
        tail.result("score", tail.op("Div", total, tail.op("Max", count, tail.array(1.0, FLOAT))))

    def _table(self, tail: Tail, classes: int, output: str) -> list[str]:
        """What each class is spelt as. InputError where the characters are not as many."""
        known = self.characters
        if known is None:
            listed = tail.metadata.get(METADATA)
            if listed is None:
                raise InputError("the model does not say which characters it knows", hint="ctc characters=FILE")
            known = Names("the model's metadata", tuple(listed.splitlines()))
        if self.blank >= classes:
            raise InputError(
                f"output {output!r} has {classes} classes: {self.blank} is none of them", hint="ctc blank=0"
            )
        names = list(known.names)
        if len(names) == classes - 2:
            names.append(" ")  # which PaddleOCR adds to its lists
        if len(names) != classes - 1:
            raise InputError(
                f"{known.source} has {len(names)} characters, and output {output!r} of the model {classes} classes, "
                "one of them the blank",
                hint="one character a line, in the order of the classes, without the blank",
            )
        return [*names[: self.blank], "", *names[self.blank :]]


def read_ctc(arguments: Arguments) -> Ctc:
    """`ctc blank=0 characters=FILE`."""
    blank = arguments.integer("blank", 0, least=0)
    characters = read_characters(arguments.text("characters")) if arguments.has("characters") else None
    arguments.end()
    return Ctc(blank, characters)
