"""Cells: which there are, and what their keys depend on."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeort import device_profiles, sample
from edgeort.errors import DeviceError, InputError, ProfileError
from edgeort.sweep.book import Draft, read_book
from edgeort.sweep.cells import Cell, make_cells
from edgeort.sweep.places import Place, read_places
from tests.models import mlp
from tests.sweep.support import write_mlp

VALUES = {
    "precision": st.sampled_from(["float32", "int8", "int4", "float16"]),
    "threads": st.integers(1, 64),
    "shape": st.just("x=1x8"),
    "prune": st.sampled_from(["auto", "0.5"]),
    "provider": st.sampled_from(["auto", "cpu", "openvino"]),
    "min_sqnr": st.floats(0, 60),
    "max_latency_ms": st.floats(0.5, 1e6),
    "runs": st.integers(1, 1000),
}
SETTINGS = st.fixed_dictionaries({}, optional=VALUES)


def cells(*lines: str, devices: str = "raspberrypi4", models: tuple[str, ...] = ()) -> list[Cell]:
    return make_cells(models or (str(sample.path()),), read_places([devices]), read_book(lines))


def line(pairs: list[tuple[str, object]]) -> str:
    return "s:" + ",".join(f"{key}={value}" for key, value in pairs)


@settings(deadline=None)  # the machine may be busy
@given(SETTINGS, st.randoms(use_true_random=False))
def test_the_order_of_settings_does_not_matter(settings: dict[str, object], random):
    pairs = list(settings.items())
    shuffled = random.sample(pairs, len(pairs))
    assert cells(line(pairs))[0].key == cells(line(shuffled))[0].key


@settings(deadline=None)  # the machine may be busy
@given(SETTINGS, SETTINGS)
def test_other_settings_are_another_key(one: dict[str, object], other: dict[str, object]):
    first, second = (cells(line(list(settings.items())))[0] for settings in (one, other))
    assert (first.key == second.key) == (first.settings == second.settings)


@settings(deadline=None)  # the machine may be busy
@given(st.permutations(["a:threads=1", "b:threads=2", "c:precision=float16"]))
def test_keys_do_not_depend_on_what_else_is_swept(lines: list[str]):
    keys = {cell.settings.name: cell.key for cell in cells(*lines, devices="host,raspberrypi4")[3:]}
    assert keys == {cell.settings.name: cell.key for cell in cells("c:precision=float16", "b:threads=2", "a:threads=1")}


def test_what_is_said_by_default_is_the_default():
    assert cells("s")[0].key == cells("s:precision=float32,provider=auto,runs=50")[0].key
    assert cells("s")[0].key != cells("t")[0].key, "the name is a column of the row"


def test_contents_of_files_count_and_their_places_do_not(tmp_path: Path):
    (tmp_path / "copy").mkdir()
    first = write_mlp(tmp_path / "m.onnx")
    copy = write_mlp(tmp_path / "copy/m.onnx")
    np.save(tmp_path / "d.npy", np.zeros((4, 8), np.float32))
    np.save(tmp_path / "copy/d.npy", np.zeros((4, 8), np.float32))
    keys = {
        cells(f"s:data={folder / 'd.npy'}", models=(path,))[0].key
        for path in (first, copy)
        for folder in (tmp_path, tmp_path / "copy")
    }
    assert len(keys) == 1
    np.save(tmp_path / "d.npy", np.ones((4, 8), np.float32))
    assert cells(f"s:data={tmp_path / 'd.npy'}", models=(first,))[0].key not in keys
    write_mlp(tmp_path / "m.onnx", seed=1)
    assert cells("s", models=(first,))[0].key != cells("s", models=(copy,))[0].key


def test_weights_outside_the_model_count(tmp_path: Path):
    def save(seed: int) -> str:
        path = tmp_path / "m.onnx"
        onnx.save(mlp(2, seed=seed), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
        return str(path)

    first = cells("s", models=(save(0),))[0]
    assert set(first.parcels["model"].files) == {"m.onnx", "weights.bin"}
    (tmp_path / "weights.bin").unlink()
    assert cells("s", models=(save(1),))[0].key != first.key


def test_the_profile_counts_but_for_the_clock_of_this_machine(monkeypatch: pytest.MonkeyPatch):
    host = device_profiles.load("host")
    slower = replace(host.cpu.clusters[0], mhz=host.cpu.clusters[0].mhz - 1)
    others = [
        replace(host, cpu=replace(host.cpu, clusters=(slower,))),
        replace(host, memory=replace(host.memory, ram_mb=host.memory.ram_mb - 1)),
    ]
    (cell,) = cells("s", devices="host")
    same, other = (replace(cell, place=Place(profile, None)) for profile in others)
    assert cell.key == same.key != other.key
    assert cells("s", devices="host@local")[0].key != cell.key


def test_the_version_counts(monkeypatch: pytest.MonkeyPatch):
    before = cells("s")[0].key
    monkeypatch.setattr("edgeort.sweep.cells.version", lambda: "9.9.9+0")
    assert cells("s")[0].key != before


def test_models_are_told_apart_by_as_little_of_their_path_as_needed(tmp_path: Path):
    for number, name in enumerate(("v1/m.onnx", "v2/m.onnx", "v2/other.onnx")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_mlp(tmp_path / name, seed=number)
    pattern = str(tmp_path / "**/*.onnx")
    found = cells("s", models=(str(tmp_path / "v2/m.onnx"), pattern, pattern))
    assert [cell.model for cell in found] == ["v2/m", "v1/m", "other"]
    assert found[0].stem == "v2-m-raspberrypi4-s"


def test_a_model_given_by_two_paths_is_one(tmp_path: Path):
    path = write_mlp(tmp_path / "m.onnx")
    (tmp_path / "link.onnx").symlink_to(path)
    assert len(cells("s", models=(path, str(tmp_path / "link.onnx"), path))) == 1


def test_models_that_are_not_there():
    with pytest.raises(InputError, match=r"--models nothing\*\.onnx: there is no such file"):
        cells("s", models=("nothing*.onnx",))
    with pytest.raises(InputError, match="there are no models"):
        make_cells([], read_places(["host"]), read_book([]))


def test_a_model_that_is_none_is_a_cell_that_will_fail(tmp_path: Path):
    (tmp_path / "m.onnx").write_bytes(b"<html>")
    assert len(cells("s", models=(str(tmp_path / "m.onnx"),))) == 1


def test_devices():
    found = read_places(["raspberrypi4@ssh:pi@board:22, host", "host,x86-64@local,arm64@emulated:max"])
    assert [place.text() for place in found] == [
        "raspberrypi4@ssh:pi@board:22", "host", "x86-64@local", "arm64@emulated:max"
    ]  # fmt: skip
    assert [place.resource for place in found] == ["raspberrypi4", None, "x86-64", None]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", InputError, "this is not NAME or NAME@WHERE"),
        ("host@", InputError, "this is not NAME or NAME@WHERE"),
        ("host,,x86-64", InputError, "this is not NAME or NAME@WHERE"),
        ("pi4", ProfileError, "unknown device 'pi4'; nearest"),
        ("raspberrypi4@shh:pi", DeviceError, "unknown device 'shh:pi'"),
        ("raspberrypi4@ssh:", DeviceError, "none of local"),
    ],
)
def test_devices_that_are_none(text: str, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        read_places([text])


def test_names_of_a_worker_s_own_devices_are_not_known_here():
    (place,) = read_places(["raspberrypi4@desk"], names_are_known=False)
    assert place.where == "desk" and place.resource == "raspberrypi4"
    with pytest.raises(DeviceError):
        read_places(["raspberrypi4@ssh:"], names_are_known=False)


def test_two_devices_of_one_name(tmp_path: Path):
    text = (Path(device_profiles.__file__).parent / "raspberrypi4.toml").read_text()
    (tmp_path / "raspberrypi4.toml").write_text(text.replace("mhz = 1800", "mhz = 1500"))
    with pytest.raises(InputError, match="two devices called raspberrypi4"):
        read_places(["raspberrypi4", str(tmp_path / "raspberrypi4.toml")])
    assert read_places([f"{tmp_path}/raspberrypi4.toml@local"])[0].where == "local"


LETTERS = st.text("abc:=,@.*[]{}\"'\\\0\n\u00e9 0", max_size=30)


@settings(deadline=None)  # the machine may be busy
@given(LETTERS)
def test_settings_in_a_line_are_read_or_refused(text: str):
    refusing(lambda: list(read_book([text]).of("m")))


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=200) | LETTERS.map(str.encode) | LETTERS.map(lambda t: f"[settings.{t}]\n{t} = {t}".encode()))
def test_files_of_settings_are_read_or_refused(data: bytes):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.toml"
        path.write_bytes(data)
        refusing(lambda: list(read_book([str(path)]).of("m")))


def refusing(read: functools.partial[object] | object) -> None:
    """Calls; an error that says something is as good as none."""
    try:
        read()  # type: ignore[operator]
    except InputError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1", "a: unknown; allowed: settings, models"),
        ("settings = 3", "settings holds tables only"),
        ("[settings]\nx = 1", "settings holds tables only"),
        ('[settings."../../etc"]', "'../../etc' is no name of settings"),
        ('[settings.""]', "'' is no name of settings"),
        ("[settings.x]\nprecison = 'int8'", r"settings\.x\.precison: unknown key"),
        ("[settings.x]\nprecision = 8", r"settings\.x\.precision: 8 is not text"),
        ("[settings.x]\nprecision = 'int9'", "'int9' is not possible; allowed: float32, int8"),
        ("[settings.x]\nthreads = 0", r"threads: 0 is not possible; allowed: a whole number from 1 to 64"),
        ("[settings.x]\nthreads = true", "true is not a whole number"),
        ("[settings.x]\nmin_sqnr = nan", "nan is not possible"),
        ("[settings.x]\nruns = 1" + "0" * 5000, "not valid TOML"),
        ("[settings.x]\nshape = 'x=1'", "is not a list"),
        ("[settings.x]\npreprocess = 1", r"settings\.x\.preprocess: 1 is not text"),
        ("[models.m]\nthreads = -1", r"models\.m\.threads: -1 is not possible"),
        ("x = " + "[" * 5000, "nested too deeply"),
        ("[settings.x]\n[settings.x]", "not valid TOML"),
        ("\xff", "not valid TOML"),
        ("#" * (1 << 21), "these are no settings"),
    ],
)
def test_files_of_settings_that_are_wrong(text: str, message: str, tmp_path: Path):
    path = tmp_path / "s.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message) as caught:
        read_book([str(path)])
    assert "s.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("int8", None),
        ("x:precision", "'precision' is not KEY=VALUE"),
        ("x:threads=1,threads=2", "threads is given twice"),
        ("x:threads=two", "'two' is not a whole number"),
        ("x:colour=red", "unknown key"),
        (":threads=1", "'' is no name"),
        ("absent.toml", "No such file"),
    ],
)
def test_settings_in_a_line(line: str, message: str | None):
    if message is None:
        assert list(read_book([line]).settings) == [line]
        return
    with pytest.raises(InputError, match=message):
        read_book([line])


def test_settings_given_twice():
    with pytest.raises(InputError, match="settings 'a' is given twice"):
        read_book(["a:threads=1", "a:threads=2"])


def test_what_belongs_to_a_model_holds_where_the_settings_are_silent(tmp_path: Path):
    (tmp_path / "s.toml").write_text(
        '[settings.one]\nthreads = 1\n[settings.other]\n[models.m]\nthreads = 2\ndata = "d.npy"\nlabels = "folders"\n'
    )
    one, other = read_book([str(tmp_path / "s.toml")]).of("m")
    assert (one.threads, other.threads) == (1, 2)
    assert (one.data, one.labels) == (str(tmp_path / "d.npy"), "folders")
    (plain, _) = read_book([str(tmp_path / "s.toml")]).of("n")
    assert plain.data is None


def test_settings_of_a_model_that_is_not_swept(tmp_path: Path):
    (tmp_path / "s.toml").write_text("[models.digit]\nthreads = 2\n")
    with pytest.raises(InputError, match="there is no model 'digit'"):
        cells(str(tmp_path / "s.toml"))


def test_a_file_of_settings_alone_needs_no_settings(tmp_path: Path):
    (tmp_path / "s.toml").write_text("[models.digits]\nthreads = 2\n")
    (cell,) = cells(str(tmp_path / "s.toml"))
    assert (cell.settings.name, cell.settings.threads) == ("default", 2)


def test_settings_that_name_files_which_are_not_there(tmp_path: Path):
    with pytest.raises(InputError, match=r"absent\.npy: No such file"):
        cells(f"s:data={tmp_path / 'absent.npy'}")


def test_a_draft_is_read_as_often_as_wanted():
    draft = read_book(["a:threads=3"]).settings["a"]
    assert isinstance(draft, Draft) and draft.read("a") == draft.read("a")
