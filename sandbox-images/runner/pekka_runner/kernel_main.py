"""What the kernel process runs: a real ipykernel, with five small differences.

1. No IOPub message is ever dropped (ipykernel's queue holds 1000 messages and throws away the rest).
2. Streams are flushed after 10 ms instead of 200, so that output is seen when it happens.
3. Each write is copied to a journal, so that a dying kernel loses no text.
4. `input()` says what to do instead.
5. tqdm draws text, plotly gives HTML (frontends.py).
"""

from __future__ import annotations

import faulthandler
import os
import sys

# Python put this file's folder on the path. The user's `import records` must not find ours, here or later.
_PACKAGE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") not in (_PACKAGE, os.getcwd())]
sys.path.insert(0, os.path.dirname(_PACKAGE))
from pekka_runner import frontends, identity, installs, processes, seeding, values  # noqa: E402, F401
from pekka_runner.journal import Journal  # noqa: E402

del sys.path[0]

from ipykernel.iostream import OutStream  # noqa: E402
from ipykernel.ipkernel import IPythonKernel  # noqa: E402
from ipykernel.kernelapp import IPKernelApp  # noqa: E402
from IPython.core.error import StdinNotImplementedError  # noqa: E402
from traitlets import Type  # noqa: E402

_journal = Journal(os.environ.pop("PEKKA_JOURNAL"))

#: Armed when a task begins (`begin`).
_witness = identity.Witness(os.environ.pop("PEKKA_READS"))

#: Seconds. Long enough to join the words of one print(), short enough for a progress bar to be smooth.
FLUSH_SECONDS = 0.01


class JournalledStream(OutStream):
    flush_interval = FLUSH_SECONDS

    def write(self, string: str) -> int | None:  # type: ignore[override]
        # Forked children send through their parent and are not counted; the runner tells them by their process id.
        if isinstance(string, str) and self._is_master_process():  # type: ignore[no-untyped-call]
            _journal.append(self.name, string)
        return super().write(string)


def _refuse_input(prompt: object) -> StdinNotImplementedError:
    asked = f" ({str(prompt).strip()[:200]})" if str(prompt).strip() else ""
    return StdinNotImplementedError(
        f"Your code asked for input{asked}, and nobody can answer where it runs. "
        "Put the value into the code, or read it from a variable or a file."
    )


class Kernel(IPythonKernel):
    def raw_input(self, prompt: object = "") -> str:
        raise _refuse_input(prompt)

    def getpass(self, prompt: object = "", stream: object = None, *, echo_char: object = None) -> str:
        raise _refuse_input(prompt)


class KernelApp(IPKernelApp):
    kernel_class = Type(Kernel, klass="ipykernel.kernelbase.Kernel").tag(config=True)  # type: ignore[assignment]

    def init_iopub(self, context: object) -> None:
        # Default for sockets made from now on: no limit. The runner stops the whole process when its host is slow, so the
        # queue is bounded by what is printed between two looks of the runner.
        context.sndhwm = 0  # type: ignore[attr-defined]
        super().init_iopub(context)  # type: ignore[no-untyped-call]


def begin(seed: int | None, cpus: int) -> None:
    """Called by the runner before the first cell of a task."""
    identity.make_uniform(cpus)
    if seed is not None:
        seeding.plant(seed)
    _witness.arm()


def main() -> None:
    processes.prctl(processes.PR_SET_PDEATHSIG, 9)
    # Before ipykernel puts its own pipe in the place of fd 2: a report of a crash goes to the runner (`last_words`).
    faulthandler.enable(os.dup(2))
    frontends.plant()
    app = KernelApp.instance(outstream_class=f"{__name__}.JournalledStream")
    app.initialize()  # type: ignore[no-untyped-call]
    installs.plant(app.shell)
    app.start()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    # `__main__` will be the user's namespace, so that classes here need a name of their own.
    sys.modules["pekka_kernel"] = sys.modules["__main__"]
    __name__ = "pekka_kernel"
    for _class in (JournalledStream, Kernel, KernelApp):
        _class.__module__ = __name__
    sys.argv[0] = "ipykernel_launcher.py"
    main()
