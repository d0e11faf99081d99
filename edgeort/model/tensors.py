"""Checks on the tensors of a model: declared size against the data that is there, and where that data may lie."""

from __future__ import annotations

import math
import os
import posixpath
from collections.abc import Iterable, Iterator
from pathlib import PureWindowsPath

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from edgeort.errors import ModelError

ELEMENT_LIMIT = 2**40  # no tensor of any real model; beyond it sizes in bytes start to overflow 64-bit arithmetic

RANK_LIMIT = 64  # NumPy's
_EXPORT = "the file is damaged: download or export the model again"
_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
# dtype -> (field of TensorProto, entries per 1 element); every other dtype sits in int32_data (onnx.proto, TensorProto)
_TYPED_FIELD: dict[ir.DataType, tuple[str, int]] = {
    ir.DataType.FLOAT: ("float_data", 1),
    ir.DataType.COMPLEX64: ("float_data", 2),
    ir.DataType.DOUBLE: ("double_data", 1),
    ir.DataType.COMPLEX128: ("double_data", 2),
    ir.DataType.INT64: ("int64_data", 1),
    ir.DataType.UINT64: ("uint64_data", 1),
    ir.DataType.UINT32: ("uint64_data", 1),
    ir.DataType.STRING: ("string_data", 1),
}
_PACKED_PER_ENTRY = {4: 2, 2: 4}  # bit width -> elements in one entry of int32_data


def check_tensors(proto: onnx.ModelProto, folder: str) -> None:
    """Check every tensor of graph, subgraphs and functions; raises ModelError naming the first bad one.

    `folder` is the model's own, the only place external data may lie in.
    """
    for tensor in _graph_tensors(proto.graph):
        _check_tensor(tensor, folder)
    for function in proto.functions:
        for tensor in _node_tensors(function.node):
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                raise ModelError(
                    f"tensor '{tensor.name}' of function '{function.name}' has its data in another file, which "
                    "functions cannot have"
                )
            _check_tensor(tensor, folder)


def external_files(path: str | os.PathLike[str]) -> list[str]:
    """Names of the files in which a model keeps weights, as it has them; none of a file that is no ONNX model."""
    try:
        proto = onnx.load(path, load_external_data=False)
        external = [t for t in _graph_tensors(proto.graph) if t.data_location == onnx.TensorProto.EXTERNAL]
    except (OSError, ValueError, DecodeError, ModelError):
        return []
    entries = (entry for tensor in external for entry in tensor.external_data)
    return sorted({entry.value for entry in entries if entry.key == "location" and _is_inside(entry.value)})


def check_dims(dims: Iterable[int], what: str) -> int:
    """Number of elements of a tensor of these dimensions; raises ModelError for negative and absurd ones."""
    sizes = list(dims)
    if len(sizes) > RANK_LIMIT:
        raise ModelError(f"{what} has {len(sizes)} dimensions; {RANK_LIMIT} are allowed")
    if any(size < 0 for size in sizes):
        raise ModelError(f"{what} has a negative dimension: {sizes}")
    if math.prod(max(size, 1) for size in sizes) > ELEMENT_LIMIT:
        raise ModelError(f"{what} is absurdly large: {sizes} is more than {ELEMENT_LIMIT} elements")
    return math.prod(sizes)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    if graph.sparse_initializer:
        raise ModelError(
            "the model has sparse initializers, which are not supported", hint="store the weights as dense tensors"
        )
    yield from graph.initializer
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("g"):
                yield from _graph_tensors(attribute.g)
            for graph in attribute.graphs:
                yield from _graph_tensors(graph)


def _check_tensor(tensor: onnx.TensorProto, folder: str) -> None:
    what = f"tensor '{tensor.name}'"
    try:
        dtype = ir.DataType(tensor.data_type)
    except ValueError:
        raise ModelError(f"{what} has the unknown data type {tensor.data_type}") from None
    if dtype == ir.DataType.UNDEFINED:
        raise ModelError(f"{what} has no data type")
    if tensor.HasField("segment"):
        raise ModelError(f"{what} is stored in segments, which are not supported")
    count = check_dims(tensor.dims, what)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        _check_external(tensor, what, dtype, count, folder)
    elif tensor.HasField("raw_data"):
        _check_raw(tensor, what, dtype, count)
    else:
        _check_typed(tensor, what, dtype, count)


def _size_bytes(dtype: ir.DataType, count: int, what: str) -> int:
    if dtype == ir.DataType.STRING:
        raise ModelError(f"{what} holds strings, which cannot be stored as raw bytes")
    return (count * dtype.bitwidth + 7) // 8


def _check_raw(tensor: onnx.TensorProto, what: str, dtype: ir.DataType, count: int) -> None:
    if any(len(getattr(tensor, field)) for field in _FIELDS):
        raise ModelError(f"{what} holds its data twice, as raw bytes and as numbers", hint=_EXPORT)
    expected, actual = _size_bytes(dtype, count, what), len(tensor.raw_data)
    if actual != expected:
        raise ModelError(
            f"{what} says {dtype.name}{list(tensor.dims)}, which is {expected} bytes, but holds {actual}",
            hint=_EXPORT,
        )


def _check_typed(tensor: onnx.TensorProto, what: str, dtype: ir.DataType, count: int) -> None:
    field, entries_per_element = _TYPED_FIELD.get(dtype, ("int32_data", 1))
    expected = count * entries_per_element
    if field == "int32_data":
        expected = -(-count // _PACKED_PER_ENTRY.get(dtype.bitwidth, 1))
    for other in _FIELDS:
        actual = len(getattr(tensor, other))
        if actual != (expected if other == field else 0):
            raise ModelError(
                f"{what} says {dtype.name}{list(tensor.dims)}, which is {expected} entries of {field}, but it has "
                f"{actual} entries of {other}",
                hint=_EXPORT,
            )


def _check_external(tensor: onnx.TensorProto, what: str, dtype: ir.DataType, count: int, folder: str) -> None:
    if tensor.raw_data or any(len(getattr(tensor, field)) for field in _FIELDS):
        raise ModelError(f"{what} holds its data twice, here and in another file", hint=_EXPORT)
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    path = _contained_path(location, what, folder)
    size = _external_file_size(path, location, what)
    expected = _size_bytes(dtype, count, what)
    offset = _whole_number(entries, "offset", what)
    length = _whole_number(entries, "length", what)
    if length and length != expected:
        raise ModelError(
            f"{what} says {dtype.name}{list(tensor.dims)}, which is {expected} bytes, but has {length} in '{location}'"
        )
    if offset + expected > size:
        raise ModelError(
            f"{what} needs bytes {offset} to {offset + expected} of '{location}', which has only {size}",
            hint=f"'{location}' is truncated or belongs to another model: copy it again",
        )


def _contained_path(location: str, what: str, folder: str) -> str:
    """Absolute path of external data; raises ModelError unless it lies in `folder`, links followed."""
    if not _is_inside(location):
        raise ModelError(
            f"{what} keeps its data at '{location}': external data must lie in the model's own folder",
            hint="save the model again with onnx.save(model, PATH, save_as_external_data=True, location='weights.bin')",
        )
    path = os.path.join(folder, location)
    root = os.path.realpath(folder)
    if os.path.commonpath([root, os.path.realpath(path)]) != root:
        raise ModelError(
            f"{what} keeps its data at '{location}', a link that leads out of the model's own folder",
            hint=f"put the file itself beside the model: cp --remove-destination $(realpath {path}) {path}",
        )
    return path


def _is_inside(location: str) -> bool:
    """Whether the text is a path to a file below a folder, on every system."""
    windows = PureWindowsPath(location)
    absolute = posixpath.isabs(location) or windows.drive or windows.root
    return bool(location) and "\0" not in location and not absolute and ".." not in windows.parts


def _external_file_size(path: str, location: str, what: str) -> int:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise ModelError(
            f"{what} keeps its data in '{location}', which is missing", hint=f"put '{location}' beside the model file"
        ) from None
    except OSError as error:
        raise ModelError(f"{what} keeps its data in '{location}', which cannot be read: {error.strerror}") from error
    if not os.path.isfile(path):
        raise ModelError(f"{what} keeps its data in '{location}', which is not a regular file")
    if not os.access(path, os.R_OK):
        raise ModelError(f"{what} keeps its data in '{location}', which may not be read", hint=f"chmod u+r {path}")
    if status.st_nlink > 1:
        # onnx-ir refuses these when the data is read, much later and without a word about the remedy.
        raise ModelError(
            f"{what} keeps its data in '{location}', which has {status.st_nlink} hard links and so may be a file from "
            "outside the model's folder",
            hint=f"make it a file of its own: cp {path} {path}.own && mv {path}.own {path}",
        )
    return status.st_size


def _whole_number(entries: dict[str, str], key: str, what: str) -> int:
    text = entries.get(key, "0")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ModelError(f"{what} has external data with {key} '{text[:40]}', which is not a whole number")
    return int(text)
