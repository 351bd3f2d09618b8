"""Values that are on their way out: each run's are written once, as they were then, and read piece by piece under a token. What
another run looks at or sends meanwhile, and what a cell changes, is nothing to them.

Executed as `_pekka_exports`, after `_pekka_codecs`. Python ≥ 3.9, standard library.
"""

from __future__ import annotations

import mmap
import tempfile
import threading
import time
import uuid
from typing import Any, Callable, Iterator

import _pekka_codecs as codecs

#: Values up to this size are kept in memory, larger ones in files without a name.
MEMORY_BYTES = 4 << 20
#: What all runs that are being sent may take here: two of the largest.
MAX_HELD = 4 << 30
#: Runs at once. A page sends one after the other; of more, the one that nobody has read from for longest goes.
MAX_EXPORTS = 64
#: What nobody has read from for so long belongs to a page that is gone, s. Between two values a page sends what else travels, and
#: 1 GiB takes two and a half hours at 1 Mbit/s; a laptop sleeps meanwhile.
IDLE_SECONDS = 6 * 3600.0
#: Where there is no room, what nobody has read from for so long goes first, s. A part of 16 MiB takes two minutes at 1 Mbit/s.
STALE_SECONDS = 900.0
#: Bytes that are written and compared at once.
_STEP = 4 << 20

#: Main thread and subshells are called at once.
_lock = threading.Lock()
_exports: dict[str, Export] = {}
_timer: threading.Timer | None = None


class Export:
    """What one run sends."""

    def __init__(self) -> None:
        self.token = uuid.uuid4().hex
        self.held = 0
        self.used = time.monotonic()
        self._values: dict[str, list[Any]] = {}

    def keep(self, name: str, codec: str, pieces: list[Any]) -> int:
        """Takes a value's pieces as they are now; their bytes.

        :raises CannotTravel: there is no room, or it changes at this moment"""
        size = sum(memoryview(piece).nbytes for piece in pieces)
        with _lock:
            if sum(export.held for export in _exports.values()) + size > MAX_HELD:
                _drop(STALE_SECONDS, but=self.token)
            others = sum(export.held for export in _exports.values())
            if others + size > MAX_HELD:
                raise codecs.CannotTravel(f"What is being sent from here already takes {others / 1e9:.1f} GB. Wait until it is there.")
            self.held += size
            self.used = time.monotonic()
        self._values[name] = _kept(pieces, size, alive=codec == "npy")
        return size

    def compare(self, name: str, pieces: list[Any]) -> None:
        """Compares what is kept with the same value written again.

        :raises CannotTravel: it has changed, so that what is kept may be torn"""
        if not _same(self._values[name], pieces):
            raise codecs.CannotTravel("It changed while it was written. Send it when the cell that changes it has ended.")

    def read(self, name: str, offset: int, length: int) -> Any:
        """Bytes of one value."""
        found = []
        at = 0
        for piece in self._values[name]:
            view = memoryview(piece).cast("B")
            begin, end = max(0, offset - at), min(view.nbytes, offset + length - at)
            if begin < end:
                give_back(piece)
                found.append(view[begin:end])
            at += view.nbytes
            if at >= offset + length:
                break
        # Most often one piece has it all, and nothing is copied.
        return found[0] if len(found) == 1 else b"".join(found)

    def read_all(self, names: list[str]) -> bytes:
        """Many small values, one after the other."""
        return b"".join(bytes(piece) for name in names for piece in self._values[name])


def begin() -> Export:
    """A run's values from now on, until `release`."""
    export = Export()
    with _lock:
        if len(_exports) >= MAX_EXPORTS:
            del _exports[min(_exports, key=lambda token: _exports[token].used)]
        _exports[export.token] = export
        _arm()
    return export


def of(token: str) -> Export | None:
    """The export; None where it was released, or nobody came for it."""
    with _lock:
        export = _exports.get(token)
        if export is not None:
            export.used = time.monotonic()
        return export


def release(token: str) -> None:
    global _timer
    with _lock:
        _exports.pop(token, None)
        if not _exports and _timer is not None:
            _timer.cancel()
            _timer = None


def _arm() -> None:
    """Sees to it that what is left behind goes, though nobody calls; with the lock held."""
    global _timer
    if _timer is None:
        until = min(export.used for export in _exports.values()) + IDLE_SECONDS
        _timer = threading.Timer(max(1.0, until - time.monotonic()), _sweep)
        _timer.daemon = True
        _timer.start()


def _sweep() -> None:
    global _timer
    with _lock:
        _timer = None
        _drop(IDLE_SECONDS)
        if _exports:
            _arm()


def _drop(seconds: float, but: str | None = None) -> None:
    """Lets go of what nobody has read from for so long; with the lock held."""
    until = time.monotonic() - seconds
    for token in [token for token, export in _exports.items() if export.used <= until and token != but]:
        del _exports[token]


def _kept(pieces: list[Any], size: int, alive: bool) -> list[Any]:
    """Pieces that stay as they are: those of an array are views of the memory that the user's code writes to."""
    if size <= MEMORY_BYTES:
        return [bytes(piece) for piece in pieces] if alive else pieces
    if all(isinstance(piece, mmap.mmap) for piece in pieces):
        return pieces
    try:
        return [mapped(lambda file: [file.write(part) for piece in pieces for part in _parts(piece)])]
    except codecs.CannotTravel:
        if alive:
            raise
        return pieces


def _same(kept: list[Any], pieces: list[Any]) -> bool:
    """Whether an array's pieces are what is kept of it: the same pieces, or one of all."""
    if sum(memoryview(piece).nbytes for piece in kept) != sum(memoryview(piece).nbytes for piece in pieces):
        return False
    sources = iter(kept)
    source = memoryview(b"")
    held: Any = None
    for piece in pieces:
        for part in _parts(piece):
            while part.nbytes:
                if not source.nbytes:
                    held = next(sources)
                    source = memoryview(held).cast("B")
                    continue
                size = min(part.nbytes, source.nbytes)
                if bytes(source[:size]) != bytes(part[:size]):
                    return False
                give_back(held)
                source, part = source[size:], part[size:]
    return True


def _parts(piece: Any) -> Iterator[memoryview]:
    view = memoryview(piece).cast("B")
    for at in range(0, view.nbytes, _STEP):
        yield view[at : at + _STEP]


def mapped(write: Callable[[Any], Any]) -> mmap.mmap:
    """What `write` writes into a file without a name, mapped: it isn't in this process's memory as well.

    :raises CannotTravel: there is no room for it"""
    try:
        with tempfile.TemporaryFile(prefix="pekka-") as file:
            write(file)
            file.flush()
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise codecs.CannotTravel(f"There is no room to write it on this computer ({error.strerror or error}).") from None


def give_back(piece: Any) -> None:
    """What was read of a mapped file is the system's again; it counts as this process's memory until then."""
    if isinstance(piece, mmap.mmap) and hasattr(piece, "madvise"):
        piece.madvise(mmap.MADV_DONTNEED)
