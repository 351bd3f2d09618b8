"""A copy of the last text each stream was given, in memory that outlives the kernel process.

ipykernel hands text to a thread, which sends it a little later: `print("x"); os._exit(3)` loses the x, and so do a
segmentation fault and the out-of-memory killer. So every write is also copied into a shared file mapping. When the kernel
is gone, the runner compares how much was written with how much arrived and sends the difference.

Layout, for each of stdout and stderr: u64 number of characters ever written, u64 number of bytes ever written, then a ring
of RING_BYTES with their UTF-8. Whoever runs in the kernel may scribble over it; all that can come of it is wrong text in
his own output, of at most RING_BYTES.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading

#: A kernel's stream is flushed every hundredth of a second; 1 MiB in that time is far more than Python prints.
RING_BYTES = 1 << 20
_HEAD = struct.Struct("<QQ")
_SLOT = _HEAD.size + RING_BYTES
STREAMS = ("stdout", "stderr")


def create(path: str) -> None:
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        os.ftruncate(fd, _SLOT * len(STREAMS))
    finally:
        os.close(fd)


class Journal:
    def __init__(self, path: str) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._map = mmap.mmap(fd, _SLOT * len(STREAMS))
        finally:
            os.close(fd)
        self._lock = threading.Lock()

    def append(self, stream: str, text: str) -> None:
        raw = text.encode("utf-8", "surrogatepass")
        base = STREAMS.index(stream) * _SLOT
        with self._lock:
            characters, size = _HEAD.unpack_from(self._map, base)
            tail = raw[-RING_BYTES:]
            at = (size + len(raw) - len(tail)) % RING_BYTES
            first = min(len(tail), RING_BYTES - at)
            start = base + _HEAD.size
            self._map[start + at : start + at + first] = tail[:first]
            self._map[start : start + len(tail) - first] = tail[first:]
            # The numbers last: if the process dies in between, the new text is not claimed.
            _HEAD.pack_into(self._map, base, characters + len(text), size + len(raw))

    def missing(self, stream: str, arrived: int) -> str:
        """The text written after the first `arrived` characters, as far as it is still held."""
        base = STREAMS.index(stream) * _SLOT
        characters, size = _HEAD.unpack_from(self._map, base)
        wanted = characters - arrived
        if wanted <= 0:
            return ""
        start = base + _HEAD.size
        held = min(size, RING_BYTES)
        at = size % RING_BYTES
        ring = self._map[start : start + RING_BYTES]
        raw = ring[:at] if held < RING_BYTES else ring[at:] + ring[:at]
        return raw.decode("utf-8", "replace")[-wanted:]
