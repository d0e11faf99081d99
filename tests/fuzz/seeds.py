"""What the fuzzers start from: small valid inputs, made here rather than kept."""

from __future__ import annotations

import dataclasses
import io
import shutil
import struct
from pathlib import Path

import numpy as np

from edgeort.bundle import golden, write_bundle
from edgeort.lowering import layout
from edgeort.lowering.plan import PlanBuilder
from edgeort.recipes.front import bind
from edgeort.recipes.picture_steps import PRESETS, parse
from edgeort.values import Value
from tests.fuzz.pictures import RECIPES, pictures
from tests.fuzz.plans import bare_plans, kernel_plans, uncalled

PLAN_BYTES, MODEL_BYTES = 1 << 15, 1 << 12
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghij", "ab", "##c", "##ab", "é", "##é", "界", ".", "ᄒ", "##ᅡ"]


def plans(folder: Path) -> None:
    """Plans that call every operator: where no test has one, of one node."""
    for path in kernel_plans():
        if path.stat().st_size <= PLAN_BYTES:
            shutil.copy(path, folder)
    bare_plans(folder, uncalled(sorted(folder.glob("*.plan"))))


def tables(folder: Path) -> None:
    """Plans of few operators, with constants of each kind: dense, sparse, strings."""
    bare_plans(folder, ("Conv", "Loop"))
    plan = PlanBuilder()
    holes = np.zeros((8, 64), np.float32)
    holes[:, ::9] = 1
    dims = ("N", None, 3)
    constants = [
        plan.constant("dense", np.arange(6, dtype=np.int64).reshape(2, 3), 6),
        plan.constant("holes", holes, 0),
        plan.constant("texts", np.array(["a", "bc", ""], object), layout.STRING),
    ]
    plan.bounds["N"] = (1, 8)
    plan.outputs += [plan.activation("y"), constants[0]]
    plan.node("Concat", "n", [plan.input("x", 0, dims), constants[1], -1], plan.outputs[:1], bytes(8))
    (folder / "constants.plan").write_bytes(plan.to_bytes())


def models(folder: Path) -> None:
    """The small ones of those that the tests have."""
    from tests.mutation.corpus import small

    for name, proto in small().items():
        if proto.ByteSize() <= MODEL_BYTES:
            (folder / f"{name}.onnx").write_bytes(proto.SerializeToString())


def recipes(folder: Path) -> None:
    """Presets, and recipes of each method, for each form of an input."""
    texts = [*PRESETS, *PRESETS.values(), *(text for _, text, *_ in RECIPES)]
    for index, text in enumerate(texts):
        (folder / str(index)).write_bytes(text.encode() + b"\0" + bytes([index % 2, index % 5, *b"\0\2\4\5"]))
        (folder / f"{index}-last").write_bytes(text.encode() + b"\0" + bytes([1, index % 5, *b"\1\1\0\2", 7, 9]))


def images(folder: Path) -> None:
    """The plans of pictures as image_target.cc reads them: parameters, sides, and a byte for each other choice."""
    for name, plan, (picture,) in pictures():
        (node,) = (node for node in plan.nodes if node.op == "Picture")
        for free in (0, 1):
            rest = struct.pack("<IIBBBB", *picture.shape[:2], 2 if name == "quantised" else 0, free, 0, 0)
            (folder / f"{name}-{free}").write_bytes(node.params + rest)


def bundles(folder: Path) -> None:
    """One of each form that bundle_target reads."""
    from tests.bundle.test_bundle import CONTENTS, MANIFEST
    from tests.fuzz.bundle_target import ARCHIVE, ARRAY, MANIFEST_TEXT, SAMPLES, unsealed

    archive = write_bundle(folder / "b.zip", MANIFEST, CONTENTS)
    archive.replace(folder / "archive")
    (folder / "archive").write_bytes(bytes([ARCHIVE]) + (folder / "archive").read_bytes())
    (folder / "manifest").write_bytes(bytes([MANIFEST_TEXT]) + unsealed(MANIFEST))
    front = bind(parse("imagenet"), [Value("x", "float32", (1, 3, 24, 19))], built_in=True)
    shown = dataclasses.replace(MANIFEST, preprocessing=front.to_dict())
    (folder / "pictures").write_bytes(bytes([MANIFEST_TEXT]) + unsealed(shown))
    for index, array in enumerate(_arrays()):
        (folder / f"array{index}").write_bytes(bytes([ARRAY]) + golden.npy_bytes(array))
    rows = np.ones((4, 3), np.float32)
    stream = io.BytesIO()
    np.savez(stream, x=rows)
    (folder / "npz").write_bytes(bytes([SAMPLES]) + stream.getvalue())
    (folder / "npy").write_bytes(bytes([SAMPLES]) + golden.npy_bytes(rows))


def vocabularies(folder: Path) -> None:
    """A vocabulary with a text, cased and not."""
    whole = "\n".join(VOCABULARY).encode()
    for index, text in enumerate(("ab abc  É 界.", "", "x" * 120 + " ab", "\x7f\t한국 ab-c")):
        for cased in (0, 1):
            (folder / f"{index}-{cased}").write_bytes(bytes([cased, 20]) + whole + b"\0" + text.encode())


def arrays(folder: Path) -> None:
    """.npy files."""
    for index, array in enumerate(_arrays()):
        (folder / f"{index}.npy").write_bytes(golden.npy_bytes(array))
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asfortranarray(np.ones((2, 3))), (2, 0))
    (folder / "fortran.npy").write_bytes(stream.getvalue())


def signatures(folder: Path) -> None:
    """The vectors of RFC 8032, section 7.1: key, signature, message."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from tests.runtime.test_signature import VECTORS

    for index, (secret, public, message) in enumerate(VECTORS):
        signed = bytes.fromhex(message)
        signature = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)).sign(signed)
        (folder / str(index)).write_bytes(bytes.fromhex(public) + signature + signed)


def _arrays() -> list[np.ndarray]:
    return [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.zeros((0, 2), np.int64),
        np.array(["a", "bc"], object),
        np.float16(1.0).reshape(()),
        np.ones(3, bool),
    ]
