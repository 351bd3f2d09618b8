"""The kernel process, seen from the runner: started early and kept warm, talked to over sockets in a private directory."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import write_connection_file

from . import identity, journal, processes

#: From the start of the process to its first answer. A cold disk and a busy machine take 20 s; more is a broken image.
START_SECONDS = 120.0
#: Of what the process itself writes to its stdout and stderr: enough for the last words of a crash.
LAST_WORDS_BYTES = 8 << 10

Message = dict[str, Any]


class KernelDied(Exception):
    def __init__(self, return_code: int) -> None:
        super().__init__(f"the kernel ended with {return_code}")
        self.return_code = return_code


class Kernel:
    def __init__(self) -> None:
        # Short, because a socket's path has at most 107 bytes; 0700, because the key to the kernel lies in it.
        base = "/tmp" if os.access("/tmp", os.W_OK | os.X_OK) else None
        self.directory = tempfile.mkdtemp(prefix="pekka-", dir=base)
        self._starts = 0
        self._start(dict(os.environ))

    def restart(self, environment: dict[str, str]) -> None:
        """Another kernel in the place of this one, for a task that wants another environment than the warm one has.

        :raises KernelDied, TimeoutError: as `warm_up`"""
        self.kill()
        self.process.wait()
        os.close(self.pidfd)
        self.client.stop_channels()
        self._start(environment)
        self.warm_up([])

    def _start(self, environment: dict[str, str]) -> None:
        self._starts += 1
        own = os.path.join(self.directory, str(self._starts))
        os.mkdir(own, 0o700)
        self.reads = os.path.join(own, "reads")
        identity.create(self.reads)
        journal_file = os.path.join(own, "journal")
        journal.create(journal_file)
        self._journal = journal.Journal(journal_file)
        self._arrived = dict.fromkeys(journal.STREAMS, 0)
        connection, _ = write_connection_file(
            os.path.join(own, "connection.json"), transport="ipc", ip=os.path.join(own, "k")
        )
        environment |= {
            "PEKKA_JOURNAL": journal_file,
            "PEKKA_READS": self.reads,
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
        environment.pop("PEKKA_PRELOAD", None)
        here = os.path.dirname(os.path.abspath(__file__))
        # All fds but 0 to 2 are closed in the child, and those are a null device and a pipe of its own: ipykernel writes
        # what subprocesses print to the original stdout again, which must never be the stream of records.
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(here, "kernel_main.py"), "-f", connection, "--HistoryManager.hist_file=:memory:"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
        )
        self.pidfd = os.pidfd_open(self.process.pid)
        self._words = bytearray()
        self._words_thread = threading.Thread(target=self._listen, name="last words", daemon=True)
        self._words_thread.start()
        self._stopped = False
        #: Requests of our own, whose output is nobody's.
        self.quiet: set[str] = set()
        self.client = BlockingKernelClient(connection_file=connection)
        self.client.load_connection_file()
        self.client.start_channels(shell=True, iopub=True, stdin=False, hb=False, control=False)
        self.shell = self.client.shell_channel.socket
        self.iopub = self.client.iopub_channel.socket

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with suppress(OSError):
            while chunk := os.read(self.process.stdout.fileno(), 65536):
                self._words += chunk
                del self._words[:-LAST_WORDS_BYTES]

    def last_words(self) -> str:
        """The end of what the process itself wrote: a crash report of Python, if there is one."""
        self._words_thread.join(0.2)
        text = bytes(self._words).decode("utf-8", "replace")
        start = text.rfind("Fatal Python error")
        return text[start : start + 2000] if start >= 0 else ""

    def warm_up(self, modules: Sequence[str]) -> list[str]:
        """Waits until the kernel answers on both channels, and imports modules. Returns those that could be.

        :raises KernelDied: it ended instead
        :raises TimeoutError: it doesn't answer"""
        deadline = time.monotonic() + START_SECONDS
        wanted, heard_shell, heard_iopub = set(), False, False
        while not (heard_shell and heard_iopub):
            if not heard_iopub or not heard_shell:
                wanted.add(self.client.kernel_info())
            if self.shell.poll(100):
                heard_shell = self.receive(self.shell) is not None or heard_shell
            while self.iopub.poll(20):
                message = self.receive(self.iopub)
                heard_iopub = heard_iopub or (message is not None and message["parent_header"].get("msg_id") in wanted)
                if heard_iopub:
                    break
            self._check(deadline)
        loaded = [name for name in modules if self.quietly(f"__import__({name!r}, fromlist=['_'])", deadline)]
        # The first output and the first traceback of a process import things of their own (100 ms for the latter).
        self.quietly("print(end='')", deadline)
        self.quietly("1/0", deadline)
        last = ("last_type", "last_value", "last_traceback", "last_exc")
        self.quietly(f"[vars(__import__('sys')).pop(name, 0) for name in {last}]", deadline)
        return loaded

    def execute(self, cell: str, source: str, stop_on_error: bool) -> str:
        """Sends a cell as JupyterLab does, with its id, and returns the request's."""
        content = {
            "code": source,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": stop_on_error,
        }
        message = self.client.session.msg("execute_request", content, metadata={"cellId": cell})
        self.client.shell_channel.send(message)
        request: str = message["header"]["msg_id"]
        return request

    def quietly(self, code: str, deadline: float | None = None) -> bool:
        """Executes without a trace in history, namespace or output; whether it went well."""
        deadline = deadline or time.monotonic() + START_SECONDS
        wanted = self.client.execute(code, silent=True, store_history=False, allow_stdin=False, stop_on_error=False)
        self.quiet.add(wanted)
        while True:
            if self.shell.poll(100):
                message = self.receive(self.shell)
                if message is not None and message["parent_header"].get("msg_id") == wanted:
                    return bool(message["content"].get("status") == "ok")
            self._check(deadline)

    def _check(self, deadline: float) -> None:
        if (code := self.process.poll()) is not None:
            raise KernelDied(code)
        if time.monotonic() > deadline:
            raise TimeoutError("the kernel doesn't answer")

    def receive(self, socket: Any) -> Message | None:
        """The next message, None if there is none or it is malformed: user code holds the key and can send anything."""
        try:
            _, message = self.client.session.recv(socket, mode=zmq.NOBLOCK)
        except Exception as error:  # noqa: BLE001  whatever a forged message raises, it is the task's own loss
            print(f"a message of the kernel was dropped: {error!r:.200}", file=sys.stderr)
            return None
        if not isinstance(message, dict):
            return None
        if not all(isinstance(message.get(part), dict) for part in ("header", "parent_header", "content")):
            return None
        return message

    def count_text(self, message: Message, text: str, name: str) -> None:
        """Notes that text has arrived, unless it is of a forked child (see journal.py)."""
        if f"_{self.process.pid}_" in str(message["header"].get("msg_id")):
            self._arrived[name] += len(text)

    def lost_text(self) -> list[tuple[str, str]]:
        """What the dead kernel had written and never sent, by stream."""
        found = [(name, self._journal.missing(name, self._arrived[name])) for name in journal.STREAMS]
        return [(name, text) for name, text in found if text]

    def interrupt(self) -> None:
        """SIGINT to the kernel and what it started in its process group, as Jupyter does."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT)
        self.resume()

    def pause(self) -> None:
        if not self._stopped:
            self._stopped = True
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._stopped:
            self._stopped = False
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        processes.kill_all()

    def close(self) -> None:
        """Ends the process and removes its directory."""
        self.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
