"""Records: what the runner and its host say to one another over the runner's stdin and stdout (wire protocol v1).

A record is u32be N, then N bytes: u32be H, H bytes of UTF-8 JSON (the header), N-4-H bytes of payload.
"""

from __future__ import annotations

import json
import os
import struct
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Header = dict[str, Any]

#: A header holds names, numbers and short texts; all that can be large (sources, images, tables) is payload. 4 MiB leaves
#: room for the longest argument list that Linux takes (2 MiB) and for 64 KiB of text in which every character is escaped.
MAX_HEADER_BYTES = 4 << 20
#: Host to runner: a bundle is at most 256 MiB, twice that leaves room for JSON escapes.
MAX_INPUT_BYTES = 512 << 20
#: Runner to host: a picture of 50 MB is 67 MB in base64, just below this; larger outputs are refused with a marker.
MAX_PAYLOAD_BYTES = 64 << 20
#: A value of a display above this goes into the payload, where it needs no JSON escapes.
INLINE_VALUE_BYTES = 32 << 10
#: And so does every value from there on when the small ones together are above this.
INLINE_DATA_BYTES = 256 << 10
#: Mime types of one display. IPython makes a dozen at most.
MAX_MIMES = 64


class MalformedRecord(Exception):
    """The host sent something that is no record."""


@dataclass(frozen=True)
class Record:
    header: Header
    payload: bytes


def plain(value: Any) -> Any:
    """`value` with everything replaced that strict JSON or UTF-8 cannot hold: NaN, infinities, lone surrogates."""
    if isinstance(value, str):
        try:
            value.encode()
            return value
        except UnicodeEncodeError:
            # A pair of surrogates is one character; a lone one becomes U+FFFD, as a browser shows it.
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def to_json(value: Any) -> bytes:
    """Strict JSON in UTF-8."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:  # NaN or a lone surrogate: rare, so the careful way is taken only then
        return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def encode(header: Header, payload: Sequence[bytes] = ()) -> list[bytes]:
    """One record as buffers to be written one after the other."""
    head = to_json(header)
    if len(head) > MAX_HEADER_BYTES:
        raise ValueError(f"a header of {len(head)} bytes")
    size = sum(len(part) for part in payload)
    return [struct.pack(">II", 4 + len(head) + size, len(head)) + head, *payload]


def split_data(data: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]], list[bytes]]:
    """A mime bundle as (small values, description of the large ones, their bytes): see README, "Large values"."""
    small: dict[str, Any] = {}
    parts: list[dict[str, Any]] = []
    payload: list[bytes] = []
    inline = 0
    for mime, value in list(data.items())[:MAX_MIMES]:
        is_text = isinstance(value, str)
        raw = plain(value).encode() if is_text else to_json(value)
        if len(raw) <= INLINE_VALUE_BYTES and inline + len(raw) <= INLINE_DATA_BYTES:
            small[mime] = value
            inline += len(raw)
        else:
            parts.append({"mime": plain(mime), "bytes": len(raw), "json": not is_text})
            payload.append(raw)
    return small, parts, payload


class RecordReader:
    """Reads records from a file descriptor, blocking."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def _exactly(self, size: int, eof_is_fine: bool = False) -> bytes | None:
        buffer = bytearray(size)
        view = memoryview(buffer)
        have = 0
        while have < size:
            count = os.readv(self._fd, [view[have : have + (1 << 20)]])
            if count == 0:
                if have == 0 and eof_is_fine:
                    return None
                raise MalformedRecord("the stream ended inside a record")
            have += count
        return bytes(buffer)

    def read(self) -> Record | None:
        """The next record, None at the end of the stream.

        :raises MalformedRecord: the bytes are no record; nothing after them can be read."""
        prefix = self._exactly(4, eof_is_fine=True)
        if prefix is None:
            return None
        (size,) = struct.unpack(">I", prefix)
        if not 4 <= size <= MAX_INPUT_BYTES:
            raise MalformedRecord(f"a record of {size} bytes")
        (head_size,) = struct.unpack(">I", self._exactly(4) or b"")
        if head_size > size - 4 or head_size > MAX_HEADER_BYTES:
            raise MalformedRecord(f"a header of {head_size} bytes in a record of {size}")
        head = self._exactly(head_size) or b""
        payload = self._exactly(size - 4 - head_size) or b""
        try:
            header = json.loads(head)
        except ValueError as error:
            raise MalformedRecord(f"the header is not JSON: {error}") from error
        if not isinstance(header, dict):
            raise MalformedRecord("the header is no object")
        return Record(header, payload)


class RecordWriter:
    """Writes records from a thread of its own, so that a host that reads slowly never blocks the watching of limits.

    `pending` says how many bytes wait; who produces must stop above its high-water mark. `on_drained` is called from the
    writing thread when `pending` has fallen to `low`."""

    def __init__(self, fd: int, low: int, on_drained: Callable[[], None], on_lost: Callable[[], None]) -> None:
        self._fd = fd
        self._low = low
        self._on_drained = on_drained
        self._on_lost = on_lost
        self._queue: deque[list[bytes]] = deque()
        self._condition = threading.Condition()
        self.pending = 0
        threading.Thread(target=self._run, name="records", daemon=True).start()

    def put(self, header: Header, payload: Sequence[bytes] = ()) -> None:
        """Queues a record; never blocks."""
        buffers = encode(header, payload)
        with self._condition:
            self._queue.append(buffers)
            self.pending += sum(len(part) for part in buffers)
            self._condition.notify_all()

    def wait_below(self, size: int) -> None:
        """Waits until fewer bytes are pending: for what is read from a disk faster than the host takes it."""
        with self._condition:
            while self.pending >= size:
                self._condition.wait()

    def drain(self) -> None:
        """Waits until the host has taken everything."""
        with self._condition:
            while self.pending > 0:
                self._condition.wait()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._queue:
                    self._condition.wait()
                buffers = self._queue.popleft()
            size = sum(len(part) for part in buffers)
            try:
                for part in buffers:
                    view = memoryview(part)
                    while view:
                        view = view[os.write(self._fd, view[: 1 << 20]) :]
            except OSError:
                self._on_lost()
                return
            with self._condition:
                was_above = self.pending > self._low
                self.pending -= size
                self._condition.notify_all()
            if was_above and self.pending <= self._low:
                self._on_drained()
