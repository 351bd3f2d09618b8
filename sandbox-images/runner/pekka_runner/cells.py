"""Runs cells in order in the warm kernel and reports what they put out, as a user would see it at home."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import zmq

from . import processes
from .control import Cell, Control, RunCells
from .journal import STREAMS
from .kernel import Kernel, KernelDied, Message
from .limits import Guard, Stop
from .records import MalformedRecord, RecordWriter, plain
from .report import Reporter

#: Bytes the host may leave unread before the kernel is stopped (and from what on it goes on: `LOW` in main.py). As much as
#: one cell's text; with the held tail it bounds the runner's memory.
HIGH_WATER_BYTES = 16 << 20
#: Messages handled between two looks at limits and at the host.
BATCH = 100
#: After the reply, the kernel's "idle" follows at once. If user code has broken that, the cell ends all the same.
IDLE_SECONDS = 5.0
#: Errors that a full disk or a limit of file size makes: EFBIG, ENOSPC, EDQUOT.
DISK_ERRORS = ("[Errno 27]", "[Errno 28]", "[Errno 122]")


@dataclass
class Running:
    """The cell that runs now."""

    cell: Cell
    request: str
    reply: dict[str, Any] | None = None
    replied_at: float = 0.0
    idle: bool = False
    #: The last error shown. A reply sometimes names none (an object whose display raises).
    error: tuple[str, str] | None = None


class CellsRun:
    def __init__(self, command: RunCells, kernel: Kernel, control: Control, writer: RecordWriter) -> None:
        self._command, self._kernel, self._control, self._writer = command, kernel, control, writer
        self._cell_of: dict[str, str] = {}
        self._running: Running | None = None
        self._exit_code = 0
        self._poller = zmq.Poller()
        for item in (kernel.shell, control.fd, kernel.pidfd):
            self._poller.register(item, zmq.POLLIN)

    def run(self, unbound: dict[str, str]) -> tuple[Guard, Reporter, Stop, int | None]:
        """`unbound`: values that couldn't be put in place, with the reason; said before the first cell's own output."""
        command, kernel = self._command, self._kernel
        # Through sys.modules, where kernel_main.py has left it: the folder isn't on the path.
        kernel.quietly(f"__import__('sys').modules['pekka_kernel'].begin({command.seed}, {command.cpus})")
        self._reporter = Reporter(self._writer, command.limits)
        self._guard = Guard(command.limits, kernel.interrupt, kernel.kill)
        self._guard.watch(kernel.process.pid, command.keep)
        self._unbound = unbound
        end: Stop | None = None
        failed: Stop | None = None
        for cell in command.cells:
            if end is not None or self._guard.stop is not None:
                self._end(cell, "not-run", None)
            elif "skip-execution" in cell.tags:
                self._end(cell, "skipped", None)
            else:
                try:
                    problem = self._run_cell(cell)
                except KernelDied as death:
                    end = self._bury(cell, death)
                    continue
                if problem is not None and problem.reason == "exit":
                    end = Stop("ok" if self._exit_code == 0 else "user", self._exit_reason(), problem.detail)
                elif problem is not None and "raises-exception" not in cell.tags:
                    failed = failed or problem
                    if command.stop_on_error:
                        end = problem
        self._reporter.finish()
        self._guard.measure()
        result = self._guard.stop or end or failed or Stop("ok", "completed")
        code = self._exit_code if end is None or end.reason in ("completed", "exit-code") else 1
        if result is self._guard.stop or result.reason == "kernel-died":
            return self._guard, self._reporter, result, None
        return self._guard, self._reporter, result, 1 if failed is not None else code

    def _exit_reason(self) -> str:
        return "completed" if self._exit_code == 0 else "exit-code"

    def _end(self, cell: Cell, status: str, count: int | None) -> None:
        self._reporter.send({"type": "cell-end", "cell": cell.id, "status": status, "executionCount": count})

    def _run_cell(self, cell: Cell) -> Stop | None:
        """Runs one cell; returns what went wrong, if it did.

        :raises KernelDied: the kernel is gone"""
        self._reporter.send({"type": "cell-start", "cell": cell.id})
        for name, why in self._unbound.items():
            self._reporter.text(cell.id, "stderr", plain(f"PEKKA: `{name}` didn't get here: {why}\n").encode())
        self._unbound = {}
        if not cell.source.strip():
            # JupyterLab doesn't send an empty cell to the kernel either, and gives it no number.
            self._end(cell, "ok", None)
            return None
        go_on = "raises-exception" in cell.tags or not self._command.stop_on_error
        request = self._kernel.execute(cell.id, cell.source, stop_on_error=not go_on)
        running = self._running = Running(cell, request)
        self._cell_of[request] = cell.id
        while not self._is_over(running):
            self._pump()
        self._running = None
        reply = running.reply or {}
        self._pages(cell, reply)
        self._reporter.finish_text(cell.id)
        count = reply.get("execution_count")
        status = "ok" if reply.get("status") == "ok" else "error"
        self._end(cell, status, count if type(count) is int and count >= 0 else None)
        return self._verdict(running, reply, status)

    def _is_over(self, running: Running) -> bool:
        if running.reply is None:
            return False
        return running.idle or time.monotonic() - running.replied_at > IDLE_SECONDS

    def _verdict(self, running: Running, reply: dict[str, Any], status: str) -> Stop | None:
        cell = running.cell
        payload = reply.get("payload")
        asked = isinstance(payload, list) and any(
            isinstance(item, dict) and item.get("source") == "ask_exit" and not item.get("keepkernel") for item in payload
        )
        if asked:
            return Stop("ok", "exit", {"cell": cell.id, "exit": True})
        if status == "ok":
            return None
        name, text = running.error or (str(reply.get("ename"))[:256], str(reply.get("evalue")))
        if name == "SystemExit" and self._command.stop_on_error:
            # sys.exit() ends a notebook as it ends a program; only its code says whether that is a failure.
            self._exit_code = 0 if text in ("", "None", "0") else int(text) & 0xFF if text.isdigit() else 1
            return Stop("user", "exit", {"cell": cell.id, "exit": True})
        detail = plain({"cell": cell.id, "ename": name, "evalue": text[:1000]})
        if text.startswith(DISK_ERRORS):
            return Stop("limit", "disk-limit", {**detail, "limitBytes": self._command.limits.disk_bytes})
        return Stop("user", "exception", detail)

    def _pages(self, cell: Cell, reply: dict[str, Any]) -> None:
        """`name?` answers with a page, which JupyterLab shows below the cell."""
        payload = reply.get("payload")
        for item in payload if isinstance(payload, list) else []:
            if isinstance(item, dict) and item.get("source") == "page":
                self._reporter.display({"type": "display_data", "cell": cell.id}, item.get("data"), {})

    def _pump(self) -> None:
        """One turn: waits for something to happen, and handles it."""
        guard, reporter, kernel = self._guard, self._reporter, self._kernel
        wait = guard.tick()
        due = reporter.coalescer.wait()
        if due is not None:
            wait = min(wait, due)
        if guard.stop is None and self._writer.pending > HIGH_WATER_BYTES:
            kernel.pause()
        elif self._writer.pending <= HIGH_WATER_BYTES // 4:
            kernel.resume()
        reading = self._writer.pending <= HIGH_WATER_BYTES
        if reading:
            self._poller.register(kernel.iopub, zmq.POLLIN)
        elif kernel.iopub in self._poller:
            self._poller.unregister(kernel.iopub)
        ready = dict(self._poller.poll(int(wait * 1000) + (wait > 0)))
        if self._control.fd in ready:
            obey(self._control, guard, kernel.interrupt)
        if kernel.iopub in ready:
            self._drain(BATCH)
        if kernel.shell in ready and (message := kernel.receive(kernel.shell)) is not None:
            self._replied(message)
        if kernel.pidfd in ready:
            raise KernelDied(kernel.process.wait())
        due = reporter.coalescer.wait()
        if due is not None and due <= 0:
            reporter.coalescer.flush()

    def _drain(self, count: int) -> int:
        """Handles up to `count` messages that are there; returns how many there were."""
        for index in range(count):
            if not self._kernel.iopub.getsockopt(zmq.EVENTS) & zmq.POLLIN:
                return index
            message = self._kernel.receive(self._kernel.iopub)
            if message is not None:
                with suppress(KeyError, TypeError, AttributeError, ValueError, RecursionError):  # forged by user code
                    self._relay(message)
        return count

    def _replied(self, message: Message) -> None:
        running = self._running
        if running is not None and message["parent_header"].get("msg_id") == running.request:
            running.reply, running.replied_at = message["content"], time.monotonic()

    def _relay(self, message: Message) -> None:
        kind, content = message["header"].get("msg_type"), message["content"]
        request = message["parent_header"].get("msg_id")
        cell = self._cell_of.get(request) if isinstance(request, str) else None
        reporter = self._reporter
        if kind == "stream":
            name, text = content["name"], content["text"]
            if name in STREAMS and isinstance(text, str):
                self._kernel.count_text(message, text, name)
                # What has no cell (a thread of an import, say) belongs to the one that runs.
                cell = cell or (self._running.cell.id if self._running is not None else None)
                if cell is not None and request not in self._kernel.quiet:
                    reporter.text(cell, name, plain(text).encode())
        elif cell is None:
            return
        elif kind in ("display_data", "update_display_data"):
            header = {"type": kind, "cell": cell}
            reporter.display(header, content["data"], content.get("metadata"), content.get("transient"))
        elif kind == "execute_result":
            count = content.get("execution_count")
            header = {"type": kind, "cell": cell, "executionCount": count if type(count) is int else None}
            reporter.display(header, content["data"], content.get("metadata"), content.get("transient"))
        elif kind == "clear_output":
            reporter.clear(cell, bool(content.get("wait")))
        elif kind == "error":
            reporter.error(cell, content)
            if self._running is not None and request == self._running.request:
                self._running.error = (str(content.get("ename"))[:256], str(content.get("evalue")))
        elif kind == "status" and content.get("execution_state") == "idle":
            if self._running is not None and request == self._running.request:
                self._running.idle = True
        # comm_open, comm_msg (widgets), execute_input, debug_event: nothing a cell shows.

    def _bury(self, cell: Cell, death: KernelDied) -> Stop:
        """The kernel is gone: passes on all it had put out, and says why it went."""
        while self._kernel.iopub.poll(50):
            self._drain(BATCH)
        for name, text in self._kernel.lost_text():
            self._reporter.text(cell.id, name, plain(text).encode())
        self._reporter.finish_text(cell.id)
        self._running = None
        self._end(cell, "error", None)
        processes.kill_all()
        stop = self._guard.death(death.return_code)
        words = self._kernel.last_words()
        detail = {**stop.detail, "cell": cell.id} | ({"trace": words} if words else {})
        return Stop(stop.outcome, stop.reason, detail)


def obey(control: Control, guard: Guard, interrupt: Any) -> None:
    """Does what the host says during a run."""
    for record in control.take():
        if isinstance(record, MalformedRecord):
            guard.request(Stop("stopped", "runner-error", {"message": str(record)}))
        elif record.header.get("op") == "cancel":
            guard.request(Stop("stopped", "cancelled"))
        elif record.header.get("op") == "interrupt":
            interrupt()
        else:
            guard.request(Stop("stopped", "runner-error", {"message": "expected interrupt or cancel during a run"}))
