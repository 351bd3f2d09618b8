"""Processes of the task, as /proc shows them: their CPU time and memory, and how to end them all."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36

_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def prctl(option: int, value: int) -> bool:
    """prctl(2); false where the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0)
    return result == 0


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    state: str
    #: Own CPU time and that of children it has waited for.
    cpu_ms: float
    resident: int


def _read(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    # The name stands in brackets and may itself hold brackets and blanks: what counts starts after the last one.
    fields = text[text.rindex(b")") + 2 :].split()
    return Process(
        pid=pid,
        parent=int(fields[1]),
        state=fields[0].decode(),
        cpu_ms=sum(int(field) for field in fields[11:15]) * _TICK_MS,
        resident=int(fields[21]) * _PAGE,
    )


def descendants(root: int | None = None) -> list[Process]:
    """All processes below `root` (default: this one), parents before children."""
    children: dict[int, list[Process]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (process := _read(int(name))) is not None:
            children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    queue = [root if root is not None else os.getpid()]
    while queue:
        for process in children.get(queue.pop(), []):
            found.append(process)
            queue.append(process.pid)
    return found


def waited_cpu_ms() -> float:
    """CPU time of the children this process has waited for, and of theirs."""
    times = os.times()
    return (times.children_user + times.children_system) * 1000


def proportional_bytes(processes: list[Process]) -> int:
    """Memory of the processes with shared pages counted once; dearer to read than `resident`."""
    total = 0
    for process in processes:
        try:
            with open(f"/proc/{process.pid}/smaps_rollup", "rb") as file:
                total += next(int(line.split()[1]) * 1024 for line in file if line.startswith(b"Pss:"))
        except (OSError, StopIteration):
            total += process.resident
    return total


def kill_all() -> None:
    """Kills every descendant. Several rounds, because a process may fork while the list is read; a fork bomb that is
    faster than that ends with the sandbox."""
    for _ in range(20):
        alive = [p.pid for p in descendants() if p.state != "Z"]
        if not alive:
            return
        for pid in alive:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)  # a killed process is listed until it has given back its memory


def reap(tree: list[Process], known: set[int]) -> None:
    """Waits for dead orphans that were handed to us as the subreaper: they count against the sandbox's processes."""
    for process in tree:
        if process.state == "Z" and process.parent == os.getpid() and process.pid not in known:
            with suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)


def prefer_for_oom(pid: int) -> None:
    """Makes the kernel take `pid` (and what it starts) before the runner when memory runs out."""
    with suppress(OSError), open(f"/proc/{pid}/oom_score_adj", "w") as file:
        file.write("1000")


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
