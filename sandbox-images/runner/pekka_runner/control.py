"""What the host says while a task runs, handed from the reading thread to the one loop that acts."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .limits import Limits
from .numeric import PATHS
from .records import MalformedRecord, Record, RecordReader

MAX_CELLS = 10_000
AHEAD_BYTES = 48 << 20


@dataclass(frozen=True)
class Cell:
    id: str
    source: str
    tags: frozenset[str]


@dataclass(frozen=True)
class RunCells:
    limits: Limits
    seed: int | None
    numeric: str
    cpus: int
    returns: dict[str, Any]
    cells: list[Cell]
    stop_on_error: bool
    #: Another run follows in the same kernel: a session's next cell.
    keep: bool = False


@dataclass(frozen=True)
class RunScript:
    limits: Limits
    seed: int | None
    numeric: str
    cpus: int
    returns: dict[str, Any]
    file: str
    args: list[str]
    source: bytes


RunCommand = RunCells | RunScript


def _seed(value: Any) -> int | None:
    if value is not None and (type(value) is not int or not 0 <= value < 1 << 32):
        raise ValueError("seed is neither null nor an unsigned 32-bit number")
    return value


def _returns(value: Any) -> dict[str, Any]:
    """What may come back: `{names, maxBytes, totalBytes}`."""
    value = value or {"names": [], "maxBytes": 0, "totalBytes": 0}
    names = value.get("names") if isinstance(value, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("the names that come back are a list of texts")
    if any(type(value.get(key)) is not int or value[key] < 0 for key in ("maxBytes", "totalBytes")):
        raise ValueError("what may come back has a limit in bytes")
    return dict(value)


def _numeric(header: dict[str, Any]) -> tuple[str, int]:
    path, cpus = header.get("numeric", "pinned"), header.get("cpus", 1)
    if path not in PATHS:
        raise ValueError("numeric is no path that is known")
    if type(cpus) is not int or not 1 <= cpus <= 1024:
        raise ValueError("cpus is not a whole number from 1 on")
    return path, cpus


def _cell(value: Any) -> Cell:
    if not isinstance(value, dict) or not isinstance(value.get("id"), str) or not isinstance(value.get("source"), str):
        raise ValueError("a cell needs an id and a source")
    tags = value.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError("tags are a list of texts")
    return Cell(value["id"], value["source"], frozenset(tags))


def parse_run(record: Record) -> RunCommand:
    """:raises ValueError: not a run command of version 1"""
    header = record.header
    if header.get("op") != "run" or header.get("v") != 1:
        raise ValueError("expected a run command of version 1")
    limits, seed = Limits.parse(header.get("limits")), _seed(header.get("seed"))
    numeric, cpus = _numeric(header)
    returns = _returns(header.get("returns"))
    if header.get("kind") == "cells":
        cells = json.loads(record.payload)
        if not isinstance(cells, list) or not 1 <= len(cells) <= MAX_CELLS:
            raise ValueError("the payload of a run of cells is a list of cells")
        parsed = [_cell(cell) for cell in cells]
        if len({cell.id for cell in parsed}) != len(parsed):
            raise ValueError("two cells have the same id")
        stop_on_error = header.get("stopOnError")
        if type(stop_on_error) is not bool:
            raise ValueError("stopOnError is a truth value")
        keep = header.get("keep", False)
        if type(keep) is not bool:
            raise ValueError("keep is a truth value")
        return RunCells(limits, seed, numeric, cpus, returns, parsed, stop_on_error, keep)
    if header.get("kind") == "script":
        file, args = header.get("file"), header.get("args")
        if not isinstance(file, str) or file in ("", ".", "..") or "/" in file or "\0" in file or len(file) > 255:
            raise ValueError("file is a plain file name")
        if not isinstance(args, list) or not all(isinstance(arg, str) and "\0" not in arg for arg in args):
            raise ValueError("args are a list of texts")
        return RunScript(limits, seed, numeric, cpus, returns, file, args, record.payload)
    raise ValueError("kind is cells or script")


class Control:
    """Reads records of the host in a thread. `fd` becomes readable when there is something to `take`."""

    def __init__(self, reader: RecordReader, on_lost: Callable[[], None]) -> None:
        self._reader = reader
        self._on_lost = on_lost
        self._queue: deque[Record | MalformedRecord] = deque()
        #: Bytes that may be read ahead of who takes them: data that travels is as large as a disk.
        self._room = threading.Condition()
        self._ahead = 0
        self.fd, self._wake_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        threading.Thread(target=self._run, name="control", daemon=True).start()

    def wake(self) -> None:
        with suppress(BlockingIOError):
            os.write(self._wake_fd, b"x")

    def take(self) -> list[Record | MalformedRecord]:
        with suppress(BlockingIOError):
            os.read(self.fd, 4096)
        taken = []
        while self._queue:
            taken.append(self._queue.popleft())
        with self._room:
            self._ahead = 0
            self._room.notify()
        return taken

    def put_back(self, records: list[Record | MalformedRecord]) -> None:
        """Leaves to the next `take` what was taken too early."""
        self._queue.extendleft(reversed(records))
        if records:
            self.wake()

    def _run(self) -> None:
        while True:
            try:
                record = self._reader.read()
            except MalformedRecord as error:
                # What follows can't be told apart any more. The loop ends the task and says so.
                print(f"malformed record: {error}", file=sys.stderr)
                self._queue.append(error)
                self.wake()
                return
            except OSError:
                record = None
            if record is None:
                self._on_lost()
                return
            self._queue.append(record)
            self.wake()
            with self._room:
                self._ahead += len(record.payload)
                while self._ahead > AHEAD_BYTES:
                    self._room.wait()
