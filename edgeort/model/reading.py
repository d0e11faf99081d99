"""From a path to an `onnx.ModelProto`: is it a file, is it ONNX, is it whole?"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from edgeort.errors import ModelError

SIZE_LIMIT_BYTES = 2**31 - 1  # of one protobuf message, by protobuf's own definition

_EXPORT_HINT = "export the model as one .onnx file, for example with torch.onnx.export(module, inputs, 'model.onnx')"

_CONVERT_HINT = "edgeort convert FILE -o model.onnx"
_PYTORCH_HINT = "edgeort convert net.py:NAME -o model.onnx, of the module whose weights these are"

# (offset, first bytes, what such a file is, what to do)
_OTHER_FORMATS: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"PK\x03\x04", "a zip archive (a PyTorch checkpoint, or a packed model)", _PYTORCH_HINT),
    (0, b"\x80\x02", "a Python pickle (a PyTorch checkpoint)", _PYTORCH_HINT),
    (4, b"TFL3", "a TensorFlow Lite model", _CONVERT_HINT),
    (0, b"EDGEORT", "the plan of a bundle", "edgeort why BUNDLE tells of the folder that it is from"),
    (4, b"ORTM", "an ONNX Runtime .ort file", "use the .onnx file it was made from"),
    (0, b"\x89HDF", "an HDF5 file (a Keras model)", _CONVERT_HINT),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the model itself", "fetch the model with: git lfs pull"),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it first: gunzip -k FILE"),
    (0, b"<", "a web page or XML", "download the model file itself"),
)

# ModelProto's length-delimited fields (onnx.proto): a file that starts with these is ONNX, however it ends.
_MODEL_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}


def read_proto(path: str) -> onnx.ModelProto:
    """Read the model at `path`; raises ModelError when there is none, or it is not a whole ONNX file."""
    data = _read_bytes(path)
    if not data:
        raise ModelError("the file is empty", hint="export or download the model again")
    try:
        proto = onnx.ModelProto.FromString(data)
    except DecodeError:
        raise _unreadable(data, path) from None
    if not proto.HasField("graph") or not proto.ir_version:
        raise _unreadable(data, path)
    return proto


def _read_bytes(path: str) -> bytes:
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise ModelError("this is a folder, not an ONNX file", hint=_folder_hint(path))
        if not stat.S_ISREG(status.st_mode):
            raise ModelError("this is not a regular file", hint="pass the path of an .onnx file")
        if status.st_size > SIZE_LIMIT_BYTES:
            raise ModelError(
                f"the file has {status.st_size} bytes; an ONNX file can have at most {SIZE_LIMIT_BYTES} (2 GiB)",
                hint="keep the weights outside: onnx.save(model, 'model.onnx', save_as_external_data=True)",
            )
        with open(path, "rb") as file:
            return file.read(SIZE_LIMIT_BYTES)
    except FileNotFoundError:
        raise ModelError("there is no such file", hint="check the path of the model") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ModelError(f"the file cannot be read: {reason}", hint="check the path and its permissions") from error


def _folder_hint(path: str) -> str:
    try:
        names = os.listdir(path)
    except OSError:
        names = []
    if "manifest.json" in names and "lib" in names:
        return f"this is a bundle: edgeort why {shlex.quote(path)}"
    if "saved_model.pb" in names:
        return f"edgeort convert {shlex.quote(path)} -o model.onnx"
    found = sorted(name for name in names if name.endswith(".onnx"))
    return f"name the file: {shlex.quote(os.path.join(path, found[0]))}" if found else "pass the path of an .onnx file"


def _of(hint: str, path: str) -> str:
    """The hint with the file's own name at its place. Zip archives of these suffixes hold a whole model."""
    if hint == _PYTORCH_HINT and path.endswith((".keras", ".pt2")):
        hint = _CONVERT_HINT
    return hint.replace("FILE", shlex.quote(path))


def _unreadable(data: bytes, path: str) -> ModelError:
    for offset, magic, what, hint in _OTHER_FORMATS:
        if data[offset : offset + len(magic)] == magic:
            return ModelError(f"this is {what}, not an ONNX file", hint=_of(hint, path))
    known, missing = 0, 0
    for field, beyond in _top_level(data):
        known += 1 if field in _MODEL_FIELDS else 0
        missing = max(missing, beyond)
    if known and missing:
        return ModelError(
            f"the file is truncated: it has {len(data)} bytes and at least {missing} are missing",
            hint="download or export the model again, and compare its size with the original",
        )
    if known > 1:
        return ModelError(
            "the file is damaged or truncated: it starts like an ONNX model but has no readable graph",
            hint="download or export the model again, and compare its size with the original",
        )
    return ModelError("this is not an ONNX file", hint=_EXPORT_HINT)


def _top_level(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (field number, bytes missing behind the end of `data`) for the outermost fields, while they make sense."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        field, wire_type = key >> 3, key & 7
        if _MODEL_FIELDS.get(field, wire_type) != wire_type or wire_type not in (0, 2) or not field:
            return
        length, position = _varint(data, position)
        if wire_type == 2:
            position += length
        yield field, max(0, position - len(data))


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Decode one base-128 integer; a cut one counts as one byte missing. Returns (value, next position)."""
    value = 0
    for shift in range(0, 70, 7):
        if position + shift // 7 >= len(data):
            return value, len(data) + 1
        byte = data[position + shift // 7]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + shift // 7 + 1
    return 0, len(data)
