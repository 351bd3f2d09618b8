"""Watches what a task uses and stops it when a limit is met or the host wants it stopped."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from . import processes

#: How often usage is read. A limit is seconds at least, so a tenth of a second is exact enough, and it costs < 1 % CPU.
TICK_SECONDS = 0.1
#: From the interrupt to the kill.
GRACE_SECONDS = 2.0
#: A process killed by SIGKILL while the task's memory was above this share of the limit died of it (polling lags behind).
NEARLY_FULL = 0.85

_OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


@dataclass(frozen=True)
class Limits:
    wall_ms: int
    cpu_ms: int
    memory_bytes: int
    disk_bytes: int
    output_bytes: int
    cell_text_bytes: int

    @classmethod
    def parse(cls, value: Any) -> Limits:
        """:raises ValueError: a limit is missing or no positive whole number"""
        names = ("wallMs", "cpuMs", "memoryBytes", "diskBytes", "outputBytes", "cellTextBytes")
        if not isinstance(value, dict):
            raise ValueError("limits are missing")
        for name in names:
            if type(value.get(name)) is not int or value[name] < 1:
                raise ValueError(f"limit {name} is not a positive whole number")
        return cls(*(value[name] for name in names))


@dataclass(frozen=True)
class Stop:
    """Why a task is being stopped."""

    outcome: str
    reason: str
    detail: dict[str, Any] = field(default_factory=dict)


def _oom_kills() -> int:
    """The out-of-memory kills the control group has counted; 0 where it can't be read."""
    for path in _OOM_COUNTERS:
        with suppress(OSError, ValueError), open(path) as file:
            for line in file:
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
    return 0


class Guard:
    """One task's clock, usage and end. `tick` is called often from the one loop that runs the task."""

    def __init__(self, limits: Limits, interrupt: Callable[[], None], kill: Callable[[], None]) -> None:
        self.limits = limits
        #: Children whose end somebody else waits for.
        self._known: set[int] = set()
        self._interrupt, self._kill = interrupt, kill
        self.started = time.monotonic()
        self._cpu_before = self._cpu_now(processes.descendants())
        self._oom_before = _oom_kills()
        self.stop: Stop | None = None
        self._kill_at = 0.0
        self._killed = False
        self._next = 0.0
        self.cpu_ms = 0.0
        self.max_memory = 0
        self.last_memory = 0

    @property
    def elapsed_ms(self) -> int:
        return int((time.monotonic() - self.started) * 1000)

    @staticmethod
    def _cpu_now(tree: list[processes.Process]) -> float:
        return sum(p.cpu_ms for p in tree) + processes.waited_cpu_ms()

    def measure(self) -> list[processes.Process]:
        """Reads CPU time and memory now."""
        tree = processes.descendants()
        # A process that nobody waits for takes its time with it; the host's control group counts that too.
        self.cpu_ms = max(self.cpu_ms, self._cpu_now(tree) - self._cpu_before)
        self.last_memory = sum(p.resident for p in tree)
        if self.last_memory <= self.limits.memory_bytes:
            self.max_memory = max(self.max_memory, self.last_memory)
        return tree

    def tick(self) -> float:
        """Looks at usage if it is time; returns the seconds until it wants to be called again."""
        now = time.monotonic()
        if self.stop is not None and not self._killed and now >= self._kill_at:
            self._killed = True
            self._kill()
        if now >= self._next:
            self._look(now)
            self._next = now + TICK_SECONDS
        return max(0.0, self._next - time.monotonic())

    def _look(self, now: float) -> None:
        tree = self.measure()
        processes.reap(tree, self._known)
        limits = self.limits
        if self.last_memory > limits.memory_bytes:
            # Pages that forks share are counted for each of them; only now is it worth reading the exact number.
            self.last_memory = processes.proportional_bytes(tree)
        self.max_memory = max(self.max_memory, self.last_memory)
        if self.stop is not None:
            return
        wall = int((now - self.started) * 1000)
        if self.last_memory > limits.memory_bytes:
            self.request(Stop("limit", "out-of-memory", self.memory_detail()), at_once=True)
        elif wall >= limits.wall_ms:
            self.request(Stop("limit", "wall-limit", {"limitMs": limits.wall_ms, "usedMs": wall}))
        elif self.cpu_ms >= limits.cpu_ms:
            self.request(Stop("limit", "cpu-limit", {"limitMs": limits.cpu_ms, "usedMs": int(self.cpu_ms)}))

    def memory_detail(self) -> dict[str, Any]:
        return {"limitBytes": self.limits.memory_bytes, "usedBytes": max(self.last_memory, self.max_memory)}

    def request(self, stop: Stop, at_once: bool = False) -> None:
        """Stops the task: interrupt, then a kill when the grace is over. The first reason counts."""
        if self.stop is not None:
            return
        self.stop = stop
        self._kill_at = time.monotonic() + (0 if at_once else GRACE_SECONDS)
        if at_once:
            self._killed = True
            self._kill()
        else:
            self._interrupt()

    @property
    def killed(self) -> bool:
        return self._killed

    def watch(self, pid: int, keep: bool = False) -> None:
        """Takes over the main process of the task. Its own limit of CPU time is a backstop for when we aren't scheduled; it counts
        from the start of the process, so one that is kept for other cells has none."""
        self._known.add(pid)
        if keep:
            return
        seconds = self.limits.cpu_ms // 1000 + 30
        with suppress(OSError, ValueError):
            resource.prlimit(pid, resource.RLIMIT_CPU, (seconds, seconds + 5))

    def death(self, return_code: int) -> Stop:
        """What a return code of the kernel or of a script that was killed means."""
        if return_code >= 0:
            return Stop("user", "kernel-died", {"exitCode": return_code})
        name = processes.signal_name(-return_code)
        if name == "SIGKILL":
            full = max(self.last_memory, self.max_memory) >= NEARLY_FULL * self.limits.memory_bytes
            if full or _oom_kills() > self._oom_before:
                return Stop("limit", "out-of-memory", self.memory_detail() | {"signal": name})
        if name == "SIGXCPU":
            return Stop("limit", "cpu-limit", {"limitMs": self.limits.cpu_ms, "usedMs": int(self.cpu_ms)})
        return Stop("user", "kernel-died", {"signal": name})

    def usage(self, output_bytes: int, wall_ms: int) -> dict[str, int]:
        return {
            "wallMs": wall_ms,
            "cpuMs": int(self.cpu_ms),
            "maxMemoryBytes": self.max_memory,
            "outputBytes": output_bytes,
        }
