"""A decoder's bundle: the same tokens from Python and from C with the bundle's own library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import edgeort
from edgeort.generation import Decoder
from tests.generation import networks

SOURCE = Path(__file__).parents[2] / "examples" / "chatbot" / "tokens.c"
PROMPT = [3, 1, 4, 1, 5]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    edgeort.build(networks.write(folder, 2, "int8"), "host", folder / "decoder")
    return folder / "decoder"


def test_c_says_what_python_does(bundle: Path, tmp_path: Path) -> None:
    places = ["-I", bundle / "include", "-L", bundle / "lib", "-ledgeort", f"-Wl,-rpath,{bundle / 'lib'}"]
    command = [sys.executable, "-m", "ziglang", "cc", "-std=c99", "-Wall", "-Werror", SOURCE, *places]
    subprocess.run([*map(str, command), "-o", str(tmp_path / "tokens")], check=True)
    done = subprocess.run([tmp_path / "tokens", bundle, "12", *map(str, PROMPT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with Decoder(bundle, 64) as decoder:
        assert [int(line) for line in done.stdout.split()] == list(decoder.generate(PROMPT, 12))
