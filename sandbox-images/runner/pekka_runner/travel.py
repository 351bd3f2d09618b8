"""What travels to a task and back, as the runner handles it: files into the working directory, values through the kernel,
changed files and named values to the host in parts."""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from . import files
from .kernel import Kernel, KernelDied
from .records import Header, Record, RecordWriter, plain

#: Bytes of one part; the host seals each by itself.
PART_BYTES = 16 << 20
#: Values of one record at most that come or go together, so that its header stays far below what one may have.
PACK_VALUES = 500
#: And their bytes.
PACK_BYTES = 1 << 20
#: Bytes that may wait for a host that reads slowly.
WAITING_BYTES = 32 << 20
#: Writing values back: user code may make it slow (`__repr__`), and nobody pays for this time.
TAKE_SECONDS = 60.0
#: Putting values in place: a table of 2 GB takes some seconds, a fit of a large forest to be unpickled a minute.
PUT_SECONDS = 300.0


class Inbound:
    """Receives `put` records before the run."""

    def __init__(self, kernel: Kernel, number: int = 0) -> None:
        """`number`: which run of a kept kernel it is for."""
        self._kernel, self._again = kernel, number > 0
        self._values = os.path.join(kernel.directory, f"values-{number}")
        self._entries: list[dict[str, Any]] = []
        self._open: Any = None
        #: Small values, one after the other.
        self._pack: Any = None

    def put(self, record: Record) -> None:
        """:raises ValueError: it is none we understand
        :raises OSError: the disk is full"""
        header = record.header
        if self._open is None and header.get("kind") == "values":
            self._put_small(header.get("values"), record.payload)
            return
        if self._open is None:
            self._open = self._begin(header)
        self._open.write(record.payload)
        if header.get("last") is True:
            self._open.close()
            self._open = None

    def _put_small(self, described: Any, payload: bytes) -> None:
        if not isinstance(described, list) or not all(isinstance(entry, dict) for entry in described):
            raise ValueError("values is a list of descriptions")
        sizes = [entry.get("size") for entry in described]
        if not all(type(size) is int and size >= 0 for size in sizes) or sum(sizes) != len(payload):
            raise ValueError("the values' sizes are not those of what came")
        if self._pack is None:
            os.makedirs(self._values, mode=0o700, exist_ok=True)
            self._pack = open(os.path.join(self._values, "pack"), "xb")
        self._pack.write(payload)
        self._entries += [{**_entry(entry), "packed": entry["size"]} for entry in described]

    def _begin(self, header: Header) -> Any:
        if header.get("kind") == "value":
            os.makedirs(self._values, mode=0o700, exist_ok=True)
            entry = _entry(header)
            path = os.path.join(self._values, str(len(self._entries)))
            self._entries.append(entry)
            return open(path, "xb")
        path = header.get("path")
        if header.get("kind") != "file" or not is_inside(path):
            raise ValueError("a file's path leads out of the working directory")
        if folder := os.path.dirname(path):
            os.makedirs(folder, exist_ok=True)
        if self._again:
            # A later cell brings a file again, as it is now at home.
            with suppress(FileNotFoundError):
                os.unlink(path)
        file = open(path, "xb")
        os.fchmod(file.fileno(), 0o755 if header.get("executable") is True else 0o644)
        return file

    def bind(self) -> dict[str, str]:
        """Binds the values in the kernel; returns those that couldn't be, with the reason.

        :raises KernelDied: it didn't survive them"""
        if not self._entries:
            return {}
        if self._pack is not None:
            self._pack.close()
        with open(os.path.join(self._values, "values.json"), "w", encoding="utf-8") as file:
            # dumps() is written in C, dump() isn't.
            file.write(json.dumps(self._entries))
        deadline = time.monotonic() + PUT_SECONDS
        try:
            self._kernel.quietly(_call("put", self._values), deadline)
            with open(os.path.join(self._values, "failed.json"), encoding="utf-8") as file:
                return dict(json.load(file))
        except (OSError, ValueError, TimeoutError) as error:
            return {entry["name"]: f"the values couldn't be put in place ({error})"[:300] for entry in self._entries}


def _entry(header: Header) -> dict[str, Any]:
    return {key: header.get(key) for key in ("name", "codec", "type", "python")}


def is_inside(path: Any) -> bool:
    """Whether a path stays below the working directory: the host has checked it too."""
    if not isinstance(path, str) or not path or "\0" in path or path.startswith("/"):
        return False
    return all(name not in ("", ".", "..") for name in path.split("/"))


def _call(function: str, *arguments: Any) -> str:
    # Through sys.modules, where kernel_main.py has left it: the folder isn't on the path.
    return f"__import__('sys').modules['pekka_runner.values'].{function}(*{arguments!r})"


class Outbound:
    """Sends files and values of a run that has ended."""

    def __init__(self, writer: RecordWriter, send: Callable[[Header], None], budget: int) -> None:
        self._writer, self._send, self._budget = writer, send, budget

    def values(self, kernel: Kernel, returns: dict[str, Any]) -> None:
        names = returns["names"]
        if not names:
            return
        folder = os.path.join(kernel.directory, "returned")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        limit = min(returns["maxBytes"], self._budget)
        with suppress(KernelDied, TimeoutError, OSError, ValueError):
            # Not in the call: IPython takes 15 ms to read a thousand names as source.
            with open(os.path.join(folder, "names.json"), "w", encoding="utf-8") as file:
                file.write(json.dumps(names))
            # Where it didn't end well, what stands there may be of the cell before.
            if not kernel.quietly(_call("take", folder, limit, self._budget), time.monotonic() + TAKE_SECONDS):
                return
            with open(os.path.join(folder, "values.json"), encoding="utf-8") as file:
                told = json.load(file)[: len(names)]
            entries = [_described(entry) for entry in told]
            together = [index for index, entry in enumerate(told) if entry.get("packed") is True]
            self._small([(index, entries[index]) for index in together], os.path.join(folder, "pack"))
            for index in sorted(set(range(len(entries))) - set(together)):
                entry = entries[index]
                if entry["codec"] is not None:
                    entry["size"] = self._part("values", index, os.path.join(folder, str(index)))
            if entries:
                self._send({"type": "values", "values": entries})

    def files(self, before: files.Snapshot, ours: str | None) -> None:
        left, more = files.left_behind(".", before, ours)
        for index, entry in enumerate(left):
            # A name that isn't UTF-8 is told, with its bytes replaced, and stays.
            if entry["size"] <= self._budget and is_inside(entry["name"]) and os.path.lexists(entry["name"]):
                entry["size"] = self._part("files", index, entry["name"])
        if left:
            self._send({"type": "files", "files": left, "more": more})

    def _small(self, entries: list[tuple[int, dict[str, Any]]], path: str) -> None:
        """Sends values that stand in one file one after the other, many in a record. What isn't there has no bytes."""
        fd = -1
        with suppress(OSError):
            fd, _ = _open_regular(path)
        try:
            while entries:
                some = entries[:PACK_VALUES]
                while len(some) > 1 and sum(entry["size"] for _, entry in some) > PACK_BYTES:
                    some = some[: len(some) // 2]
                wanted = sum(entry["size"] for _, entry in some)
                data = os.read(fd, wanted) if fd >= 0 and wanted <= min(PART_BYTES, self._budget) else b""
                if len(data) != wanted:
                    break
                entries = entries[len(some) :]
                self._writer.wait_below(WAITING_BYTES)
                sizes = [[index, entry["size"]] for index, entry in some]
                self._writer.put({"type": "part", "of": "values", "packed": sizes}, [data])
                self._budget -= wanted
        finally:
            if fd >= 0:
                os.close(fd)
        for _, entry in entries:
            entry["size"] = 0

    def _part(self, of: str, index: int, path: str) -> int:
        """Sends a regular file in parts; returns how many bytes it had. What isn't one sends nothing."""
        try:
            fd, size = _open_regular(path)
        except OSError:
            return 0
        try:
            if size > self._budget:
                return size
            sent = 0
            while True:
                # As it was when it was opened: a file that still grows ends there.
                data = os.read(fd, min(PART_BYTES, size - sent)) if sent < size else b""
                if not data and sent > 0:
                    break
                self._writer.wait_below(WAITING_BYTES)
                self._writer.put({"type": "part", "of": of, "index": index}, [data])
                sent += len(data)
                if sent >= size:
                    break
            self._budget -= sent
            return sent
        except OSError:
            return 0
        finally:
            os.close(fd)


def _open_regular(path: str) -> tuple[int, int]:
    """A file that user code's process put there, and its size: never through a link, never waiting for a pipe.

    :raises OSError: there is none"""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    info = os.fstat(fd)
    if stat.S_ISREG(info.st_mode):
        return fd, info.st_size
    os.close(fd)
    raise OSError(errno.EINVAL, "no regular file", path)


def _described(entry: Any) -> dict[str, Any]:
    """What user code's process says of a value, within bounds."""
    if not isinstance(entry, dict):
        raise ValueError("no description")
    codec, size, reason = entry.get("codec"), entry.get("size"), entry.get("reason")
    return {
        "name": plain(str(entry.get("name")))[:256],
        "type": plain(str(entry.get("type")))[:256],
        "look": plain(str(entry.get("look")))[:1024],
        "codec": codec if codec in ("json", "npy", "arrow", "text", "png") else None,
        "reason": None if reason is None else plain(str(reason))[:256],
        "size": size if type(size) is int and 0 <= size < 1 << 53 else 0,
    }
