"""python -m tests.fuzz.converting: converts models for `edgeort.model.modernising` without a new process for each.

What is read is the opset and the length (u64 each) and the model; what is written is a length and the model, or NONE.
A child does it; where the converter ends that, there is another one.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from functools import cache

import onnx
import onnx.version_converter

from edgeort.model.modernising import TIMEOUT_S, Unconverted
from tests.reference.build import ROOT

_REQUEST, _ANSWER = struct.Struct("<QQ"), struct.Struct("<Q")
NONE = (1 << 64) - 1


def convert(model: bytes, opset: int) -> bytes:
    """In the place of `modernising.convert`."""
    worker = _worker()
    assert worker.stdin and worker.stdout
    worker.stdin.write(_REQUEST.pack(opset, len(model)) + model)
    worker.stdin.flush()
    (size,) = _ANSWER.unpack(worker.stdout.read(_ANSWER.size))
    if size == NONE:
        raise Unconverted("the converter says no")
    return worker.stdout.read(size)


@cache
def _worker() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", __name__]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT)


def main() -> None:
    """Ends with its input."""
    out = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what the converter says
    while True:
        child = os.fork()
        if not child:
            _answer_all(out)
        _, status = os.waitpid(child, 0)
        if status == 0:
            return
        _write(out, _ANSWER.pack(NONE))


def _answer_all(out: int) -> None:
    while head := _read(_REQUEST.size):
        opset, size = _REQUEST.unpack(head)
        model = _read(size)
        signal.alarm(int(TIMEOUT_S))  # which ends a child that goes on for ever, also when nobody waits any more
        try:
            converted = onnx.version_converter.convert_version(onnx.ModelProto.FromString(model), opset)
            onnx.checker.check_model(converted)
            answer = converted.SerializeToString()
        except Exception:  # as it would end the process that `modernising` starts
            _write(out, _ANSWER.pack(NONE))
        else:
            _write(out, _ANSWER.pack(len(answer)) + answer)
    os._exit(0)


def _read(size: int) -> bytes:
    """Unbuffered: what a child has not read is left to the next."""
    found = b""
    while len(found) < size and (part := os.read(0, size - len(found))):
        found += part
    return found


def _write(out: int, data: bytes) -> None:
    while data:
        data = data[os.write(out, data) :]


if __name__ == "__main__":
    main()
