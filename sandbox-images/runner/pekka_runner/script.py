"""Runs a script as `python -u FILE args…` and relays its two streams byte for byte."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress

from . import identity, numeric, processes
from .cells import HIGH_WATER_BYTES, obey
from .control import Control, RunScript
from .limits import Guard, Stop
from .records import RecordWriter
from .report import Reporter

#: What Linux gives in one read of a full pipe.
READ_BYTES = 64 << 10
#: A script is over when it exits and its streams end. If something it left in the background holds them, this long after.
LINGER_SECONDS = 1.0
#: Of stderr, where the last line of a traceback is looked for.
STDERR_TAIL = 4 << 10

INPUT_HINT = (
    "Your code asked for input, and nobody can answer where it runs. Pass the value as an argument, or read it from a file."
)
_DISK_SIGNS = (b"[Errno 28]", b"[Errno 122]", b"[Errno 27]")


class ScriptRun:
    def __init__(self, command: RunScript, control: Control, writer: RecordWriter) -> None:
        self._command, self._control, self._writer = command, control, writer
        self._reads = os.path.join(tempfile.mkdtemp(prefix="pekka-"), "reads")
        identity.create(self._reads)

    def run(self) -> tuple[Guard, Reporter, Stop, int | None]:
        command = self._command
        with open(command.file, "wb") as file:
            file.write(command.source)
        self._reporter = Reporter(self._writer, command.limits)
        self._guard = Guard(command.limits, self._interrupt, self._kill)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-u", command.file, *command.args],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env=self._environment(),
            )
        except OSError as error:  # arguments that are too long, no memory for a process
            return self._guard, self._reporter, Stop("user", "exit-code", {"message": str(error)[:1000]}), 126
        processes.prefer_for_oom(self._process.pid)
        self._guard.watch(self._process.pid)
        self._relay()
        self._reporter.finish()
        code = self._process.wait()
        self._guard.measure()
        processes.kill_all()
        return self._guard, self._reporter, *self._verdict(code)

    def _environment(self) -> dict[str, str]:
        command = self._command
        environment = numeric.environment(command.numeric, command.cpus, os.environ)
        environment.pop("PEKKA_PRELOAD", None)
        boot = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "script_boot")
        path = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([boot, path] if path else [boot])
        environment["PEKKA_BOOT"] = json.dumps([command.seed, command.cpus, self._reads])
        return environment

    def reads(self) -> list[str]:
        """What of the machine's identity the script read."""
        noted = identity.noted(self._reads)
        shutil.rmtree(os.path.dirname(self._reads), ignore_errors=True)
        return noted

    def _interrupt(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGINT)

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        processes.kill_all()

    def _relay(self) -> None:
        process, reporter = self._process, self._reporter
        assert process.stdout is not None and process.stderr is not None
        names = {process.stdout.fileno(): "stdout", process.stderr.fileno(): "stderr"}
        self._stderr_tail = b""
        pidfd = os.pidfd_open(process.pid)
        exited_at: float | None = None
        while names:
            if exited_at is not None and time.monotonic() - exited_at > LINGER_SECONDS:
                break
            wait = self._guard.tick()
            due = reporter.coalescer.wait()
            if due is not None:
                wait = min(wait, due)
            poller = select.poll()
            poller.register(self._control.fd, select.POLLIN)
            if exited_at is None:
                poller.register(pidfd, select.POLLIN)
            # A host that doesn't read leaves the pipes full, and the script waits in its write, as behind any pipe.
            if self._writer.pending <= HIGH_WATER_BYTES:
                for fd in names:
                    poller.register(fd, select.POLLIN)
            for fd, _ in poller.poll(int(wait * 1000) + (wait > 0)):
                if fd == self._control.fd:
                    obey(self._control, self._guard, self._interrupt)
                elif fd == pidfd:
                    exited_at = time.monotonic()
                else:
                    chunk = os.read(fd, READ_BYTES)
                    if not chunk:
                        del names[fd]
                        continue
                    if names[fd] == "stderr":
                        self._stderr_tail = (self._stderr_tail + chunk)[-STDERR_TAIL:]
                    reporter.text(None, names[fd], chunk)
            due = reporter.coalescer.wait()
            if due is not None and due <= 0:
                reporter.coalescer.flush()
        # Closed its streams and still runs: it is watched until its end.
        while process.poll() is None:
            poller = select.poll()
            poller.register(self._control.fd, select.POLLIN)
            poller.register(pidfd, select.POLLIN)
            if any(fd == self._control.fd for fd, _ in poller.poll(int(self._guard.tick() * 1000) + 1)):
                obey(self._control, self._guard, self._interrupt)
        os.close(pidfd)

    def _verdict(self, code: int) -> tuple[Stop, int | None]:
        exit_code = code if code >= 0 else 128 - code  # as a shell says it
        if self._guard.stop is not None:
            return self._guard.stop, exit_code
        if code < 0:
            return self._guard.death(code), exit_code
        if code == 0:
            return Stop("ok", "completed"), 0
        last = self._stderr_tail.rstrip().rpartition(b"\n")[2]
        if any(sign in last for sign in _DISK_SIGNS):
            return Stop("limit", "disk-limit", {"limitBytes": self._command.limits.disk_bytes, "exitCode": code}), code
        if last.startswith(b"EOFError: EOF when reading a line"):
            return Stop("user", "exit-code", {"hint": INPUT_HINT}), code
        return Stop("user", "exit-code", {}), code
