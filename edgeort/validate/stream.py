"""A harness that keeps running on a device: samples go in, and answers come out in the same order.

The stream is that of runtime/harness/stream.h. Nothing is written to a disk, the model is opened once, and while the
device computes the next samples are on their way.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

import numpy as np

from edgeort.bundle import Bundle, golden
from edgeort.devices import Device
from edgeort.devices.channel import STDOUT
from edgeort.engine import OVER_RAM_LIMIT
from edgeort.errors import BudgetError, DeviceError
from edgeort.validate.frames import ARRAY, FAILED, HEAD, MAGIC, OVER_RAM, SAMPLE, Encoder

ANSWER_S = 900.0  # longer without a byte is a device that is lost
_STDERR_BYTES = 2000

Arrays = list[np.ndarray]


class Stream:
    """Answers of a bundle's harness on a device. Close it; what has not been answered is dropped then.

    What goes over a wire is made narrow, see frames.py.
    """

    def __init__(self, bundle: Bundle, device: Device) -> None:
        """Starts the harness. DeviceError when that fails."""
        self._where = f"{bundle.path} on {device.name}"
        self._outputs = len(bundle.manifest.outputs)
        self._pipe = device.stream(bundle)
        self._encoder = Encoder(bundle.manifest.io_layout == "nhwc", narrow=device.transport.is_remote)
        self._to_send: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._said, self._complained = bytearray(), b""
        self._answers: dict[int, Arrays] = {}
        self._sent, self._received = 0, 0
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()

    def submit(self, inputs: Sequence[np.ndarray]) -> Callable[[], Arrays]:
        """Sends a sample's inputs, in the bundle's order and layout; what is given waits for the outputs.

        That raises DeviceError when the harness fails or is lost, BudgetError when activations do not fit its limit.
        Samples that were not waited for are kept in memory.
        """
        self._to_send.put(HEAD.pack(MAGIC, SAMPLE, 0))
        for place, array in enumerate(inputs):
            self._to_send.put(self._encoder.frame(place, array))
        index, self._sent = self._sent, self._sent + 1
        return lambda: self._answer(index)

    def close(self) -> None:
        """Ends the harness."""
        self._to_send.put(None)
        self._pipe.kill()
        self._writer.join()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self) -> None:
        while (data := self._to_send.get()) is not None:
            self._pipe.send(data)

    def _answer(self, index: int) -> Arrays:
        while index not in self._answers:
            self._answers[self._received] = [self._output() for _ in range(self._outputs)]
            self._received += 1
        return self._answers.pop(index)

    def _output(self) -> np.ndarray:
        head = self._read(HEAD.size)
        magic, kind, size = HEAD.unpack(head)
        if magic != MAGIC or kind not in (ARRAY, FAILED, OVER_RAM):
            raise DeviceError(f"{self._where}: what came is no answer: {head + self._said[:64]!r}", hint=_NOISE)
        content = self._read(size)
        if kind == ARRAY:
            return golden.array_of(content)
        said = content.decode(errors="replace")
        if kind == OVER_RAM:
            raise BudgetError(f"{self._where}: {said}", hint=OVER_RAM_LIMIT)
        raise DeviceError(f"{self._where}: the harness failed: {said}")

    def _read(self, count: int) -> bytes:
        while len(self._said) < count:
            try:
                found = self._pipe.receive(ANSWER_S)
            except TimeoutError:
                raise DeviceError(f"{self._where}: no answer within {ANSWER_S:.0f} s") from None
            if found is None:
                said = self._complained.decode(errors="replace").strip().removeprefix("edgeort_bench: ")
                status = self._pipe.status()
                raise DeviceError(f"{self._where}: the harness ended with status {status}{said and ': ' + said}")
            number, data = found
            if number == STDOUT:
                self._said += data
            else:
                self._complained = (self._complained + data)[-_STDERR_BYTES:]
        part = bytes(self._said[:count])
        del self._said[:count]
        return part


_NOISE = "a shell that prints something on every connection, such as an `echo` in .bashrc, must not"
