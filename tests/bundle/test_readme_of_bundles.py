"""The README.md in a bundle: its commands work in that folder, and what it names is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

import edgeort
from edgeort.bundle import open_bundle, readme
from tests.models import HOST, mlp

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the commands are those of Linux")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    onnx.save(mlp(), folder / "m.onnx")
    edgeort.build(folder / "m.onnx", HOST, folder / "b", embed_model=True, static=True)
    return folder / "b"


def commands(text: str) -> list[str]:
    return re.findall(r"^    (\S.*)$", text, re.MULTILINE)


def test_what_it_says_to_type_works(bundle: Path, tmp_path: Path):
    text = (bundle / readme.PLACE).read_text()
    assert "It takes `x: float32 [N, 8]`, and gives `y: float32 [N, 5]`." in text
    check, compile_, python = commands(text)
    done = subprocess.run(check, shell=True, cwd=bundle, capture_output=True, text=True)
    assert done.returncode == 0 and re.search(r"check +passed", done.stdout), done.stderr
    done = subprocess.run(python, shell=True, cwd=bundle, capture_output=True, text=True)
    assert done.returncode == 0 and "name='x'" in done.stdout, done.stderr
    places = f"-I {bundle}/include -L {bundle}/lib"
    (tmp_path / "app.c").write_text('#include "edgeort.h"\nint main(void) { return edgeort_abi() - EDGEORT_ABI; }\n')
    (tmp_path / "lib").symlink_to(bundle / "lib")
    command = compile_.replace("-I include -L lib", places).replace("cc ", f'"{sys.executable}" -m ziglang cc ')
    assert subprocess.run(f"{command} && ./app", shell=True, cwd=tmp_path).returncode == 0


def test_what_it_names_is_there(bundle: Path):
    text = (bundle / readme.PLACE).read_text()
    for place in re.findall(r"`((?:include|lib|golden|licences)/[\w./]*|manifest.json)`", text):
        assert (bundle / place).exists(), place
    assert "edgeort_open_embedded" in text and "edgeort::static" in text
    for name in ("edgeort-static.pc", "edgeort.pc"):
        assert (bundle / "lib/pkgconfig" / name).exists()


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("browser", 'model.run({ "x": array0 })'),
        ("cortex-m4", "-mcpu=CORE -mfloat-abi=hard -mthumb -I include firmware.c lib/libedgeort.a -lm"),
        ("windows-laptop", "bin\\edgeort_bench.exe model.plan --check golden"),
        ("android-arm64", "edgeort package FOLDER --android"),
        ("iphone15", "edgeort package FOLDER --ios"),
        ("macbook-m", "-Wl,-rpath,@executable_path/lib"),
    ],
)
def test_each_system_has_its_own(bundle: Path, device: str, said: str):
    from dataclasses import replace

    from edgeort import device_profiles, toolchain

    profile = device_profiles.load(device)
    to = toolchain.target(profile.target.os, profile.target.arch)
    with open_bundle(bundle) as opened:
        target = replace(opened.manifest.target, os=to.os, arch=to.arch)
        harness = f"bin/{to.exe}" if to.exe else ""
        made = replace(opened.manifest, target=target, library=f"lib/{to.library}", harness=harness)
    text = readme.files(made, ())[readme.PLACE].decode()
    assert said in text and "edgeort::static" not in text


def test_a_provider_may_have_its_own(bundle: Path):
    with open_bundle(bundle) as opened:
        assert readme.files(opened.manifest, [readme.PLACE]) == {}
