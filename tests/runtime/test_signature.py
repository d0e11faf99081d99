"""Ed25519 of the runtime: the vectors of RFC 8032, `cryptography` as reference, and what must be refused."""

from __future__ import annotations

import ctypes as c
import shutil
from pathlib import Path

import onnx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

import edgeort
from edgeort import toolchain
from tests.models import HOST, mlp

ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19
# RFC 8032, section 7.1: secret key, public key, message.
VECTORS = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
    ),
)
# Of the first of them.
SIGNATURE = (
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246"
    "55141438e7a100b"
)


@pytest.fixture(scope="module")
def library() -> c.CDLL:
    host = HOST.target
    to = toolchain.target(host.os, host.arch)
    lib = c.CDLL(str(toolchain.library(to, (), parts=(toolchain.SIGNATURE,))))
    lib.edgeort_verify.argtypes = (c.c_char_p, c.c_size_t, c.c_char_p, c.c_char_p)
    return lib


def verifies(library: c.CDLL, message: bytes, signature: bytes, key: bytes) -> bool:
    return library.edgeort_verify(message, len(message), signature, key) == 0


@pytest.mark.parametrize(("secret", "public", "message"), VECTORS)
def test_vectors_of_the_standard(library: c.CDLL, secret: str, public: str, message: str):
    key, text = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)), bytes.fromhex(message)
    assert key.public_key().public_bytes_raw().hex() == public
    assert message or key.sign(text).hex() == SIGNATURE
    assert verifies(library, text, key.sign(text), bytes.fromhex(public))


@settings(max_examples=60, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=400), bit=st.integers(0, 8 * 96 - 1))
def test_as_the_reference_and_no_bit_otherwise(library: c.CDLL, seed: bytes, message: bytes, bit: int):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    signature, public = key.sign(message), key.public_key().public_bytes_raw()
    assert verifies(library, message, signature, public)
    changed = bytearray(signature + public)
    changed[bit // 8] ^= 1 << bit % 8
    assert not verifies(library, message, bytes(changed[:64]), bytes(changed[64:]))
    assert not verifies(library, message + b"\0", signature, public)


@pytest.mark.parametrize("size", [0, 1, 47, 48, 63, 64, 65, 111, 112, 127, 128, 191, 192, 4096, 100_001])
def test_sizes_around_the_blocks_of_the_hash(library: c.CDLL, size: int):
    key, message = Ed25519PrivateKey.generate(), bytes(range(251)) * (size // 251 + 1)
    assert verifies(library, message[:size], key.sign(message[:size]), key.public_key().public_bytes_raw())


def test_another_form_of_the_same_signature_is_refused(library: c.CDLL):
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    signature = key.sign(b"text")
    s = int.from_bytes(signature[32:], "little") + ORDER
    forged = signature[:32] + s.to_bytes(32, "little")
    assert not verifies(library, b"text", forged, key.public_key().public_bytes_raw())


@pytest.mark.parametrize(
    "y", [2, PRIME, PRIME + 1, 2**255 - 1, 1 + 2**255], ids=["no point", "p", "p + 1", "largest", "minus zero"]
)
def test_keys_that_are_no_points_are_refused(library: c.CDLL, y: int):
    assert not verifies(library, b"", bytes.fromhex(SIGNATURE), y.to_bytes(32, "little"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose library checks signatures."""
    folder = tmp_path_factory.mktemp("signed")
    onnx.save(mlp(), folder / "m.onnx")
    edgeort.build(folder / "m.onnx", HOST, folder / "b", signatures=True)
    return folder / "b"


class TestSignedPlans:
    @pytest.fixture
    def plan(self, made: Path, tmp_path: Path) -> Path:
        return Path(shutil.copy(made / "model.plan", tmp_path / "model.plan"))

    def open(self, made: Path, plan: Path, key: Ed25519PrivateKey) -> str:
        """ "" where it opens, else the reason."""
        lib = c.CDLL(str(made / "lib/libedgeort.so"))
        lib.edgeort_open_signed.restype = c.c_void_p
        lib.edgeort_close.argtypes = (c.c_void_p,)
        error = c.create_string_buffer(512)
        model = lib.edgeort_open_signed(str(plan).encode(), key.public_key().public_bytes_raw(), None, error)
        if not model:
            return error.value.decode()
        lib.edgeort_close(model)
        return ""

    def test_the_header_is_there(self, made: Path):
        assert (made / "include/edgeort_signature.h").is_file()

    def test_opens_what_the_key_signed(self, made: Path, plan: Path):
        key = Ed25519PrivateKey.generate()
        assert "it is not signed" in self.open(made, plan, key)
        plan.with_name("model.plan.sig").write_bytes(key.sign(plan.read_bytes()))
        assert self.open(made, plan, key) == ""
        assert "is not that of the key" in self.open(made, plan, Ed25519PrivateKey.generate())

    def test_refuses_a_changed_plan_and_a_short_signature(self, made: Path, plan: Path):
        key, raw = Ed25519PrivateKey.generate(), plan.read_bytes()
        signature = key.sign(raw)
        plan.with_name("model.plan.sig").write_bytes(signature)
        plan.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
        assert "is not that of the key" in self.open(made, plan, key)
        plan.write_bytes(raw)
        plan.with_name("model.plan.sig").write_bytes(signature[:63])
        assert "is not that of the key" in self.open(made, plan, key)

    def test_a_signed_file_that_is_no_plan_is_refused(self, made: Path, plan: Path):
        key = Ed25519PrivateKey.generate()
        plan.write_bytes(b"no plan")
        plan.with_name("model.plan.sig").write_bytes(key.sign(b"no plan"))
        assert "plan" in self.open(made, plan, key)
