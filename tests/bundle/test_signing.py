"""`edgeort sign` and `edgeort verify`: what they write, what they refuse, and that OpenSSL agrees."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import edgeort
from edgeort.bundle import open_bundle, signing
from edgeort.bundle.reading import is_bundle
from edgeort.errors import BundleError, InputError, MissingExtraError
from tests.cli.support import call
from tests.models import HOST, mlp


def save(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey, folder: Path, password: bytes = b"") -> tuple[Path, Path]:
    """(private, public) as PEM files."""
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    private, public = folder / "key.pem", folder / "public.pem"
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    onnx.save(mlp(), folder / "m.onnx")
    edgeort.build(folder / "m.onnx", HOST, folder / "b")
    edgeort.build(folder / "m.onnx", HOST, folder / "b.zip")
    return folder


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return save(Ed25519PrivateKey.generate(), tmp_path)


@pytest.fixture(params=["b", "b.zip"])
def bundle(request: pytest.FixtureRequest, made: Path, tmp_path: Path) -> Path:
    source, to = made / request.param, tmp_path / request.param
    return Path(shutil.copytree(source, to) if source.is_dir() else shutil.copy(source, to))


def test_signed_verified_and_still_a_bundle(bundle: Path, keys: tuple[Path, Path]):
    private, public = keys
    signed = signing.sign(bundle, private)
    assert signed.names == ("manifest.json", "model.plan")
    assert is_bundle(bundle)
    with open_bundle(bundle) as opened:
        assert signing.verify(opened, public) == signed
    assert signing.sign(bundle, private) == signed  # again
    result = call("verify", bundle, "--public-key", public)
    assert result.exit_code == 0 and signed.public_key.hex() in result.stdout
    assert "by whom was not checked: --public-key" in call("verify", bundle).stdout  # not as if it had been


def test_another_key_and_no_signature_are_refused(bundle: Path, keys: tuple[Path, Path], tmp_path: Path):
    private, public = keys
    with open_bundle(bundle) as opened, pytest.raises(BundleError, match=r"manifest.json is not signed"):
        signing.verify(opened, public)
    signing.sign(bundle, private)
    other = tmp_path / "other"
    other.mkdir()
    _, stranger = save(Ed25519PrivateKey.generate(), other)
    with open_bundle(bundle) as opened, pytest.raises(BundleError, match=r"manifest.json is not by .*public.pem"):
        signing.verify(opened, stranger)


def test_a_changed_file_is_refused_before_its_signature(made: Path, keys: tuple[Path, Path], tmp_path: Path):
    bundle = Path(shutil.copytree(made / "b", tmp_path / "c"))
    signing.sign(bundle, keys[0])
    plan = bundle / "model.plan"
    plan.write_bytes(plan.read_bytes() + b"\0")
    result = call("verify", bundle, "--public-key", keys[1])
    assert result.exit_code == 2 and "model.plan was changed" in result.stderr


def test_a_file_that_is_no_signature_is_refused(made: Path, tmp_path: Path):
    bundle = Path(shutil.copytree(made / "b", tmp_path / "c"))
    (bundle / "model.plan.sig").write_bytes(b"x")
    with pytest.raises(BundleError, match=r"model.plan.sig is not 64 bytes"):
        open_bundle(bundle)


def test_openssl_agrees(made: Path, keys: tuple[Path, Path], tmp_path: Path):
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    bundle = Path(shutil.copytree(made / "b", tmp_path / "c"))
    signing.sign(bundle, keys[0])
    for name in ("manifest.json", "model.plan"):
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(keys[1]), "-rawin"]
        command += ["-in", str(bundle / name), "-sigfile", str(bundle / f"{name}.sig")]
        subprocess.run(command, check=True, capture_output=True)


def test_wrong_keys(made: Path, tmp_path: Path):
    bundle = Path(shutil.copytree(made / "b", tmp_path / "c"))
    private, public = save(ec.generate_private_key(ec.SECP256R1()), tmp_path)
    with pytest.raises(InputError, match="this key is not of Ed25519"):
        signing.sign(bundle, private)
    with open_bundle(bundle) as opened, pytest.raises(InputError, match="this key is not of Ed25519"):
        signing.verify(opened, public)
    locked, _ = save(Ed25519PrivateKey.generate(), tmp_path, b"secret")
    with pytest.raises(InputError, match="no private key without a password"):
        signing.sign(bundle, locked)
    with pytest.raises(InputError, match=r"public.pem: this is a public key, and a private one signs$"):
        signing.sign(bundle, public)
    with pytest.raises(InputError, match="No such file"):
        signing.sign(bundle, tmp_path / "none.pem")
    with open_bundle(bundle) as opened, pytest.raises(InputError, match="No such file") as raised:
        signing.verify(opened, tmp_path / "none.pem")
    assert raised.value.hint == "openssl pkey -in key.pem -pubout -out public.pem"
    with open_bundle(bundle) as opened, pytest.raises(InputError, match="this is a private key, which") as raised:
        signing.verify(opened, private)
    assert raised.value.hint == f"openssl pkey -in {private} -pubout -out public.pem"
    (tmp_path / "text.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    with open_bundle(bundle) as opened, pytest.raises(InputError, match=r"text.pem: this is no public key in PEM$"):
        signing.verify(opened, tmp_path / "text.pem")
    assert not list(bundle.glob("*.sig"))


@pytest.mark.parametrize("what", ["sign", "verify"])
def test_the_extra_is_named(made: Path, keys: tuple[Path, Path], what: str, monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)
    with open_bundle(made / "b") as opened, pytest.raises(MissingExtraError) as raised:
        signing.sign(made / "b", keys[0]) if what == "sign" else signing.verify(opened, keys[1])
    assert raised.value.hint == "pip install 'edgeort[sign]'"


class TestRebuild:
    def test_another_model_differs_by_name(self, made: Path, tmp_path: Path):
        onnx.save(mlp(seed=1), tmp_path / "m.onnx")
        result = call("verify", made / "b", "--rebuild", tmp_path / "m.onnx")
        assert result.exit_code == 1
        assert "model.plan" in result.stdout

    def test_a_build_that_fails_says_why(self, made: Path, tmp_path: Path):
        (tmp_path / "m.onnx").write_bytes(b"no model")
        result = call("verify", made / "b", "--rebuild", tmp_path / "m.onnx")
        assert result.exit_code == 2 and "cannot be built as" in result.stderr

    def test_the_hint_of_a_build_that_fails_is_a_hint(self, made: Path):
        result = call("verify", made / "b", "--rebuild", made / "none.onnx", "--json")
        told = json.loads(result.stdout)
        assert result.exit_code == 2 and "hint" not in told["error"]
        assert told["hint"] == "check the path of the model"

    def test_unknown_options(self, made: Path):
        result = call("verify", made / "b", "--frob")
        assert result.exit_code == 2 and "--frob: no such option" in result.stderr
