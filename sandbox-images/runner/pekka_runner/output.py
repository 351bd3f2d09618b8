"""How much of a task's output is kept, and when text is sent.

Everything here depends on the output alone, never on the clock or on how the text happened to be cut into pieces, so two
honest runs that print the same also report the same (R15). Only the joining of pieces (`Coalescer`) looks at the time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

#: Pieces of text within this time of the last one sent are joined. Below what an eye can tell, above what a relay costs.
COALESCE_SECONDS = 0.004
#: Text of one record. A browser takes it in one turn; escaped six-fold it still fits a header.
CHUNK_BYTES = 64 << 10
#: What stays from the end when the task's whole output is over its limit, unless that limit is very small.
TAIL_BYTES = 1 << 20

EmitText = Callable[[str, bytes], None]
Mark = Callable[[int, int], None]


def tail_of(limit: int) -> int:
    """Bytes kept from the end of something limited to `limit`: 1 MiB of 16 (DESIGN §6), in proportion below."""
    return min(TAIL_BYTES, limit // 16)


@dataclass
class TotalBudget:
    """The output of the whole task: what was made and what was kept, in bytes."""

    limit: int
    seen: int = 0
    kept: int = 0

    def room(self, reserve: int = 0) -> int:
        return max(0, self.limit - self.kept - reserve)


def whole_characters(data: bytes, size: int) -> int:
    """The largest cut ≤ `size` that doesn't split a UTF-8 character."""
    if size >= len(data):
        return len(data)
    while size > 0 and data[size] & 0xC0 == 0x80:
        size -= 1
    return size


class TextGate:
    """Lets text of one cell (or of a script) through, up to its limit.

    Up to `head` bytes pass at once. What follows is held until the cell ends: if all of it is within `limit`, it passes;
    else only the last `tail` bytes do, after a marker with the numbers. So what stays doesn't depend on time. A display in
    between releases what is held as far as the limit allows, because order comes first."""

    def __init__(
        self, total: TotalBudget, emit: EmitText, mark: Mark, *, head: int, limit: int, tail: int, text: bool
    ) -> None:
        self._total, self._emit, self._mark = total, emit, mark
        self._head, self._limit, self._tail, self._text = head, limit, tail, text
        self._reserve = tail_of(total.limit)
        self._held: deque[tuple[str, bytes]] = deque()
        self._held_bytes = 0
        self._cut = 0
        self._sent = 0
        self.holding = False

    def feed(self, name: str, data: bytes) -> None:
        self._total.seen += len(data)
        if not self.holding:
            room = min(self._head - self._sent, self._total.room(self._reserve))
            size = whole_characters(data, room) if self._text else min(len(data), room)
            self._send(name, data[:size])
            data = data[size:]
            if not data:
                return
            self.holding = True
        self._held.append((name, data))
        self._held_bytes += len(data)
        if self._cut > 0 or self._held_bytes > min(self._limit - self._sent, self._total.room()):
            self._trim(min(self._tail, self._total.room()))

    def release(self, final: bool) -> None:
        """Passes on what is held, as far as it may: before something that isn't text, and (`final`) at the end."""
        if not self._held and self._cut == 0:
            return
        if final:
            room = min(self._limit - self._sent, self._total.room())
        else:
            room = min(self._limit - self._tail - self._sent, self._total.room(self._reserve))
        if self._held_bytes > room:
            self._trim(room)
        if self._cut > 0:
            self._mark(self._sent + self._held_bytes, self._cut)
            self._cut = 0
        while self._held:
            name, data = self._held.popleft()
            self._send(name, data)
        self._held_bytes = 0

    def _send(self, name: str, data: bytes) -> None:
        self._sent += len(data)
        self._total.kept += len(data)
        while data:
            size = whole_characters(data, CHUNK_BYTES) if self._text else min(len(data), CHUNK_BYTES)
            self._emit(name, data[:size])
            data = data[size:]

    def _trim(self, keep: int) -> None:
        """Drops from the front until exactly `keep` bytes are held, less where a character would be split."""
        excess = self._held_bytes - max(0, keep)
        while excess > 0:
            name, data = self._held.popleft()
            size = min(len(data), excess)
            while self._text and size < len(data) and data[size] & 0xC0 == 0x80:
                size += 1
            if size < len(data):
                self._held.appendleft((name, data[size:]))
            excess -= size
            self._held_bytes -= size
            self._cut += size


class Coalescer:
    """Joins pieces of text that follow one another closely; the first after a pause passes at once.

    Only neighbours of the same stream of the same cell are joined, so nothing is reordered."""

    def __init__(self, forward: Callable[[str | None, str, bytes], None]) -> None:
        self._forward = forward
        self._key: tuple[str | None, str] | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._last = 0.0

    def add(self, cell: str | None, name: str, data: bytes) -> None:
        if not data:
            return
        if self._key != (cell, name):
            self.flush()
            self._key = (cell, name)
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= CHUNK_BYTES or time.monotonic() - self._last >= COALESCE_SECONDS:
            self.flush()

    def wait(self) -> float | None:
        """Seconds until `flush` is due, None if nothing waits."""
        return max(0.0, self._last + COALESCE_SECONDS - time.monotonic()) if self._pieces else None

    def flush(self) -> None:
        if self._key is not None and self._pieces:
            data = b"".join(self._pieces)
            self._pieces, self._size = [], 0
            self._forward(*self._key, data)
            self._last = time.monotonic()
        self._key = None
