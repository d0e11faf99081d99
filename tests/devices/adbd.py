"""An Android device that is none: adbd over TCP, as much of it as the genuine adb asks for. Its shell is a `Userland`.

The protocol is that of the Android project's adb/protocol.txt; inside a shell stream, that of shell_protocol.h.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import threading
from typing import IO, Literal

from tests.devices.userland import Userland

SYNC, CNXN, AUTH, OPEN, OKAY, CLSE, WRTE = (
    int.from_bytes(name, "little") for name in (b"SYNC", b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"CLSE", b"WRTE")
)
VERSION, LARGEST = 0x01000000, 1 << 16
STDIN, STDOUT, STDERR, EXIT = 0, 1, 2, 3
State = Literal["device", "unauthorized", "offline"]


class Shell:
    """One command of a connection."""

    def __init__(self, link: Link, own: int, other: int, line: str) -> None:
        self.link, self.own, self.other = link, own, other
        self.may_write, self.pending, self.lock = threading.Semaphore(1), b"", threading.Lock()
        there = link.adbd.userland
        self.process = subprocess.Popen(
            there.command(line),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **there.environment},
        )
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        assert self.process.stdout and self.process.stderr
        errors = threading.Thread(target=self.tell, args=(STDERR, self.process.stderr), daemon=True)
        errors.start()
        self.tell(STDOUT, self.process.stdout)
        errors.join()
        status = self.process.wait()
        self.write(EXIT, bytes([status if status >= 0 else 128 - status]))
        self.link.send(CLSE, self.own, self.other)

    def tell(self, kind: int, stream: IO[bytes]) -> None:
        while data := os.read(stream.fileno(), LARGEST // 2):
            self.write(kind, data)

    def write(self, kind: int, data: bytes) -> None:
        with self.lock:
            self.may_write.acquire(timeout=10)
            self.link.send(WRTE, self.own, self.other, struct.pack("<BI", kind, len(data)) + data)

    def read(self, data: bytes) -> None:
        self.pending += data
        while len(self.pending) >= 5 and len(self.pending) >= 5 + (
            size := struct.unpack_from("<I", self.pending, 1)[0]
        ):
            kind, packet, self.pending = self.pending[0], self.pending[5 : 5 + size], self.pending[5 + size :]
            assert self.process.stdin
            with contextlib.suppress(BrokenPipeError, ValueError):
                if kind == STDIN:
                    self.process.stdin.write(packet)
                    self.process.stdin.flush()
                elif kind == EXIT:  # which the client sends when its input has ended
                    self.process.stdin.close()

    def hang_up(self) -> None:
        self.may_write.release()
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


class Link:
    """A connection of an adb server."""

    def __init__(self, adbd: Adbd, peer: socket.socket) -> None:
        self.adbd, self.peer, self.lock = adbd, peer, threading.Lock()
        self.shells: dict[int, Shell] = {}

    def send(self, command: int, first: int, second: int, data: bytes = b"") -> None:
        head = struct.pack("<6I", command, first, second, len(data), sum(data) & 0xFFFFFFFF, command ^ 0xFFFFFFFF)
        with self.lock, contextlib.suppress(OSError):
            self.peer.sendall(head + data)

    def receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            block = self.peer.recv(size - len(data))
            if not block:
                raise EOFError
            data += block
        return data

    def serve(self) -> None:
        try:
            while True:
                command, first, second, size, _, _ = struct.unpack("<6I", self.receive(24))
                self.answer(command, first, second, self.receive(size))
        except (EOFError, OSError):
            for shell in list(self.shells.values()):
                shell.hang_up()

    def answer(self, command: int, first: int, second: int, data: bytes) -> None:
        if command in (CNXN, AUTH):
            if self.adbd.state == "device":
                self.send(CNXN, VERSION, LARGEST, self.adbd.banner)
            elif self.adbd.state == "unauthorized" and (command, first) != (AUTH, 3):
                self.send(AUTH, 1, 0, bytes(20))  # until it is the key itself that comes: then the screen asks
        elif command == OPEN:
            service, _, line = data.rstrip(b"\0").decode().partition(":")
            if not service.startswith("shell,v2"):
                self.send(CLSE, 0, first)
                return
            own = self.adbd.next_id()
            self.send(OKAY, own, first)
            self.shells[own] = Shell(self, own, first, line)
        elif command == WRTE:
            self.send(OKAY, second, first)
            self.shells[second].read(data)
        elif command == OKAY and second in self.shells:
            self.shells[second].may_write.release()
        elif command == CLSE and second in self.shells:
            self.shells.pop(second).hang_up()


class Adbd:
    """The daemon. `serial` is what adb calls it once it is connected to."""

    def __init__(self, userland: Userland, model: str = "Pixel 8", state: State = "device") -> None:
        self.userland, self.state, self._ids = userland, state, 0
        product = f"ro.product.name=shiba;ro.product.model={model};ro.product.device=shiba"
        self.banner = f"device::{product};features=shell_v2,cmd".encode()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.serial = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._peers: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def next_id(self) -> int:
        self._ids += 1
        return self._ids

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._peers.append(peer)
            threading.Thread(target=Link(self, peer).serve, daemon=True).start()

    def drop_connections(self) -> None:
        """As when the cable is pulled."""
        while self._peers:
            peer = self._peers.pop()
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
            peer.close()

    def stop(self) -> None:
        self._listener.close()
        self.drop_connections()
