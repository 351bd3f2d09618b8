"""What travels to a task and back, as the runner handles it: files into the working directory, values through the kernel,
changed files and named values to the host in parts."""

from __future__ import annotations

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

    def put(self, record: Record) -> None:
        """:raises ValueError: it is none we understand
        :raises OSError: the disk is full"""
        header = record.header
        if self._open is None:
            self._open = self._begin(header)
        self._open.write(record.payload)
        if header.get("last") is True:
            self._open.close()
            self._open = None

    def _begin(self, header: Header) -> Any:
        if header.get("kind") == "value":
            os.makedirs(self._values, mode=0o700, exist_ok=True)
            entry = {key: header.get(key) for key in ("name", "codec", "type", "python")}
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
        with open(os.path.join(self._values, "values.json"), "w", encoding="utf-8") as file:
            json.dump(self._entries, file)
        deadline = time.monotonic() + PUT_SECONDS
        try:
            self._kernel.quietly(_call("put", self._values), deadline)
            with open(os.path.join(self._values, "failed.json"), encoding="utf-8") as file:
                return dict(json.load(file))
        except (OSError, ValueError, TimeoutError) as error:
            return {entry["name"]: f"the values couldn't be put in place ({error})"[:300] for entry in self._entries}


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
            kernel.quietly(_call("take", folder, names, limit, self._budget), time.monotonic() + TAKE_SECONDS)
            with open(os.path.join(folder, "values.json"), encoding="utf-8") as file:
                entries = [_described(entry) for entry in json.load(file)[: len(names)]]
            for index, entry in enumerate(entries):
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

    def _part(self, of: str, index: int, path: str) -> int:
        """Sends a regular file in parts; returns how many bytes it had. What isn't one sends nothing."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return 0
        try:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode) or info.st_size > self._budget:
                return info.st_size
            sent = 0
            while True:
                # As it was when it was opened: a file that still grows ends there.
                data = os.read(fd, min(PART_BYTES, info.st_size - sent)) if sent < info.st_size else b""
                if not data and sent > 0:
                    break
                self._writer.wait_below(WAITING_BYTES)
                self._writer.put({"type": "part", "of": of, "index": index}, [data])
                sent += len(data)
                if sent >= info.st_size:
                    break
            self._budget -= sent
            return sent
        except OSError:
            return 0
        finally:
            os.close(fd)


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
