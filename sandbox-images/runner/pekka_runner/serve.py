"""The life of a runner: start a kernel, say `ready`, serve one run, or several in the same kernel while it is kept, end."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
import traceback
from contextlib import suppress
from typing import NoReturn

import zmq

from . import VERSION, caches, extras, files, identity, numeric, processes
from .cells import HIGH_WATER_BYTES, CellsRun
from .control import Control, RunCommand, RunScript, parse_run
from .kernel import Kernel, KernelDied
from .limits import Stop
from .records import Header, MalformedRecord, RecordReader, RecordWriter
from .script import ScriptRun
from .travel import Inbound, Outbound

_STARTED = time.monotonic()
#: Signals that end a Python process and that user code of the same user may send us. A handler that does nothing, rather
#: than SIG_IGN, because the latter would be inherited by the kernel. Who must end us uses SIGKILL or closes our stdin.
_DEAF_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)
_NO_USAGE = {"wallMs": 0, "cpuMs": 0, "maxMemoryBytes": 0, "outputBytes": 0}


def _arguments(argv: list[str]) -> list[str]:
    parser = argparse.ArgumentParser(prog="pekka-runner")
    parser.add_argument(
        "--preload", default=os.environ.get("PEKKA_PRELOAD", ""), help="modules imported before `ready`, with commas"
    )
    return [name for name in parser.parse_args(argv).preload.split(",") if name]


def _done(stop: Stop, exit_code: int | None, usage: dict[str, int], t: int) -> Header:
    return {
        "type": "done",
        "outcome": stop.outcome,
        "reason": stop.reason,
        "detail": stop.detail,
        "exitCode": exit_code,
        "usage": usage,
        "t": t,
    }


def _drop_output(kernel: Kernel) -> None:
    """Between cells nobody is there whose output it would be; left in the socket it would fill memory."""
    while kernel.iopub.getsockopt(zmq.EVENTS) & zmq.POLLIN:
        message = kernel.receive(kernel.iopub)
        with suppress(KeyError, TypeError, AttributeError):  # forged by user code
            if message is not None and message["header"].get("msg_type") == "stream":
                kernel.count_text(message, message["content"]["text"], message["content"]["name"])


def _wait_for_run(control: Control, kernel: Kernel, inbound: Inbound) -> RunCommand:
    """:raises ValueError, MalformedRecord: the host said something else
    :raises KernelDied: the kernel ended while it waited"""
    poller = zmq.Poller()
    for item in (kernel.iopub, control.fd, kernel.pidfd):
        poller.register(item, zmq.POLLIN)
    while True:
        for item, _ in poller.poll():
            if item == kernel.pidfd:
                raise KernelDied(kernel.process.wait())
            if item is kernel.iopub:
                _drop_output(kernel)
                continue
            taken = control.take()
            if not taken:
                continue
            for index, record in enumerate(taken):
                if isinstance(record, MalformedRecord):
                    raise record
                if record.header.get("op") == "put":
                    inbound.put(record)
                    continue
                if record.header.get("op") in ("interrupt", "cancel"):
                    # It was on its way when the run before ended by itself.
                    continue
                command = parse_run(record)
                control.put_back(taken[index + 1 :])
                return command


def _serve_one(number: int, control: Control, kernel: Kernel, writer: RecordWriter) -> bool:
    """Waits for a run and serves it; returns whether the kernel is kept for another."""
    inbound = Inbound(kernel, number)
    command = _wait_for_run(control, kernel, inbound)
    if number == 0:
        extras.place_inputs()
    before = files.snapshot(".")
    kept = False
    if isinstance(command, RunScript):
        if number > 0:
            raise ValueError("a kept kernel runs cells")
        kernel.close()  # a script has its own interpreter; the warm kernel has only kept its files in the page cache
        script = ScriptRun(command, control, writer)
        guard, reporter, stop, exit_code = script.run()
        reads = script.reads()
    else:
        if number == 0:
            if command.numeric != "pinned" or extras.replaces_packages():
                kernel.restart(numeric.environment(command.numeric, command.cpus, os.environ))
                processes.prefer_for_oom(kernel.process.pid)
            extras.arrive(kernel)
        guard, reporter, stop, exit_code = CellsRun(command, kernel, control, writer).run(inbound.bind())
        reads = identity.noted(kernel.reads)
        # `exit()` ends a kernel at home too.
        kept = command.keep and not guard.killed and not stop.detail.get("exit") and kernel.process.poll() is None
    # Usage ends here: what follows is our own. So does the clock; the kernel is taken down after `done`, which would
    # otherwise wait for the memory of a large process to be given back.
    usage = guard.usage(reporter.total.seen, guard.elapsed_ms)
    back = Outbound(writer, reporter.send, command.returns["totalBytes"])
    if isinstance(command, RunScript):
        back.files(before, command.file)
    else:
        back.values(kernel, command.returns)
        back.files(before, None)
    done = {**_done(stop, exit_code, usage, reporter.elapsed_ms), "envRead": reads}
    writer.put({**done, "kept": kept} if kept else done)
    return kept


def serve(records_in: int, records_out: int, argv: list[str]) -> NoReturn:
    # Without this, user code of the same user could open our descriptors in /proc or attach with ptrace.
    processes.prctl(processes.PR_SET_DUMPABLE, 0)
    # Orphans of the task become our children: their CPU time is counted and they are ended with the rest.
    processes.prctl(processes.PR_SET_CHILD_SUBREAPER, 1)
    for number in _DEAF_TO:
        signal.signal(number, lambda *_: None)
    preload = _arguments(argv)
    kernel: Kernel | None = None

    def leave(code: int) -> NoReturn:
        if kernel is not None:
            kernel.close()
        processes.kill_all()
        os._exit(code)

    def lost() -> None:
        """The host is gone: nobody wants what follows."""
        processes.kill_all()
        if kernel is not None:
            kernel.close()
        os._exit(3)

    control = Control(RecordReader(records_in), lost)
    writer = RecordWriter(records_out, HIGH_WATER_BYTES // 4, control.wake, lost)
    try:
        caches.lay_out()
        kernel = Kernel()
        loaded = kernel.warm_up(preload)
        processes.prefer_for_oom(kernel.process.pid)
        boot_ms = int((time.monotonic() - _STARTED) * 1000)
        ready = {"v": 1, "runner": VERSION, "python": platform.python_version(), "preloaded": loaded, "bootMs": boot_ms}
        writer.put({"type": "ready", **ready, "t": 0})
        number = 0
        while _serve_one(number, control, kernel, writer):
            number += 1
    except (ValueError, OSError, MalformedRecord, KernelDied, TimeoutError) as error:
        writer.put(_done(Stop("stopped", "runner-error", {"message": str(error)[:1000]}), None, _NO_USAGE, 0))
        writer.drain()
        leave(2)
    except Exception as error:  # noqa: BLE001  a fault of the runner must end as a record, not as a silence
        traceback.print_exc(file=sys.stderr)
        writer.put(_done(Stop("stopped", "runner-error", {"message": repr(error)[:1000]}), None, _NO_USAGE, 0))
        writer.drain()
        leave(2)
    writer.drain()
    leave(0)
