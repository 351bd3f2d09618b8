"""What a program may learn of the machine it runs on (PROTOCOL R21).

Where it is cheap all machines look alike: host name and user (the sandbox), `os.uname`, `os.cpu_count` and
`os.sched_getaffinity` (what the task has, not what the machine has). Of the rest it is noted what a program reads, by an audit hook, wrappers where Python raises no
event, and in a mapping shared with the runner, so that a result that depends on it is told from a wrong one. Native code isn't seen.
"""

from __future__ import annotations

import functools
import mmap
import os
import sys
from types import FrameType
from typing import Any

#: In the order of the bytes in the shared file.
READS = ("boot", "cpu", "host", "kernel", "memory", "network", "uptime")

_PATHS = (
    ("/proc/sys/kernel/random/boot_id", "boot"),
    ("/proc/cpuinfo", "cpu"),
    ("/sys/devices/system/cpu", "cpu"),
    ("/etc/machine-id", "host"),
    ("/sys/class/dmi", "host"),
    ("/sys/devices/virtual/dmi", "host"),
    ("/proc/mounts", "host"),
    ("/proc/self/mount", "host"),
    ("/proc/1/", "host"),
    ("/proc/version", "kernel"),
    ("/proc/sys/kernel", "kernel"),
    ("/proc/cmdline", "kernel"),
    ("/proc/meminfo", "memory"),
    ("/sys/devices/system/node", "memory"),
    ("/sys/class/net", "network"),
    ("/proc/net", "network"),
    ("/proc/stat", "uptime"),
    ("/proc/uptime", "uptime"),
    ("/proc/loadavg", "uptime"),
)
_PROGRAMS = {
    "uname": "kernel", "lscpu": "cpu", "nproc": "cpu", "cpuid": "cpu", "dmidecode": "host", "free": "memory",
    "uptime": "uptime", "ip": "network", "ifconfig": "network",
}  # fmt: skip
#: What `os.sysconf` tells of the machine, by name and by number.
_CONFIGURED = {
    key: what
    for name, what in (
        ("SC_NPROCESSORS_CONF", "cpu"), ("SC_NPROCESSORS_ONLN", "cpu"),
        ("SC_PHYS_PAGES", "memory"), ("SC_AVPHYS_PAGES", "memory"),
    )
    for key in (name, os.sysconf_names.get(name, name))
}  # fmt: skip
#: Libraries that look for themselves how many threads to start, which isn't the program's doing.
_LIBRARIES = frozenset(("joblib", "threadpoolctl", "numba", "torch", "numexpr", "sklearn"))
_COMMANDS = frozenset(("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "pty.spawn", "os.spawn"))
_OPENS = frozenset(("open", "os.listdir", "os.scandir"))


def create(path: str) -> None:
    """Makes the shared file, for the runner."""
    with open(path, "xb") as file:
        file.write(bytes(len(READS)))


def noted(path: str) -> list[str]:
    """What was read so far, for the runner. What stands there is the user's word."""
    try:
        with open(path, "rb") as file:
            marks = file.read(len(READS))
    except OSError:
        return []
    return [name for name, mark in zip(READS, marks, strict=False) if mark]


class Witness:
    """Notes what the program of this process (and of its forked children) reads."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), len(READS))
        self._armed = False

    def arm(self) -> None:
        """From now on it counts: what was imported before is ours."""
        if not self._armed:
            self._armed = True
            sys.addaudithook(self._hook)
            self._wrap()

    def _wrap(self) -> None:
        """Functions that ask the system without an event of Python's."""
        real_load, real_conf = os.getloadavg, os.sysconf

        @functools.wraps(real_load)
        def getloadavg() -> tuple[float, float, float]:
            self._asked("uptime")
            return real_load()

        @functools.wraps(real_conf)
        def sysconf(name: int | str, /) -> int:
            if (what := _CONFIGURED.get(name)) is not None:
                self._asked(what)
            return real_conf(name)

        os.getloadavg = getloadavg
        os.sysconf = sysconf

    def _asked(self, name: str) -> None:
        if not _by_library():
            self._note(name)

    def _note(self, name: str) -> None:
        self._map[READS.index(name)] = 1

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _OPENS:
            path = args[0]
            if isinstance(path, bytes):
                path = path.decode("utf-8", "replace")
            # All that is looked for lies there; what Python opens else is not looked at twice.
            if isinstance(path, str) and path.startswith(("/proc/", "/sys/", "/etc/machine-id")):
                self._opened(path)
        elif event in _COMMANDS:
            self._ran(args)

    def _opened(self, path: str) -> None:
        for prefix, name in _PATHS:
            if path.startswith(prefix):
                if not _by_library():
                    self._note(name)
                return

    def _ran(self, args: tuple[Any, ...]) -> None:
        if _by_library():
            return
        words = " ".join(_flat(args[:2])).replace("'", " ").replace('"', " ")
        for prefix, name in _PATHS:
            if prefix in words:
                self._note(name)
        for word in words.split():
            if (name := _PROGRAMS.get(word.rpartition("/")[2])) is not None:
                self._note(name)


def _flat(value: Any) -> list[str]:
    if isinstance(value, (list, tuple)):
        return [word for item in value for word in _flat(item)]
    if isinstance(value, (bytes, os.PathLike)):
        value = os.fsdecode(value)
    return [value] if isinstance(value, str) else []


def _by_library() -> bool:
    """Whether a library reads it for itself: while it is imported, or where the innermost caller outside the standard
    library is one that is known for it."""
    frame: FrameType | None = sys._getframe(2)
    innermost = ""
    while frame is not None:
        name = str(frame.f_globals.get("__name__")).partition(".")[0]
        if name not in sys.stdlib_module_names and name != "pekka_runner":
            innermost = innermost or name
            if frame.f_code.co_name == "<module>" and "/site-packages/" in frame.f_code.co_filename:
                return True
        frame = frame.f_back
    return innermost in _LIBRARIES


def make_uniform(cpus: int) -> None:
    """What Python says of the machine is the same on every one."""
    alike = os.uname_result(("Linux", "pekka", "6.1.0", "#1 SMP", os.uname().machine))

    def uname() -> os.uname_result:
        """Return an object identifying the current operating system."""
        return alike

    def cpu_count() -> int:
        """Return the number of CPUs this task may use."""
        return cpus

    real_affinity = os.sched_getaffinity

    def sched_getaffinity(pid: int, /) -> set[int]:
        """Return the CPUs this task may use; they are numbered from 0."""
        return set(range(cpus)) if pid in (0, os.getpid()) else real_affinity(pid)

    os.uname = uname
    os.cpu_count = cpu_count
    os.sched_getaffinity = sched_getaffinity
