"""Values of remote runs, in the notebook that ran them.

    import pekka
    df = pekka.get("df")      # what the name was when the cell had ended
    pekka.values()            # all names, with those that stay

    %pekka                    # the same as a table
    %pekka get df model       # binds them here

The page of JupyterLab fetches a value from the notebook's newest remote run that has it. Nothing of a machine is unpickled or
executed. Loaded into the kernel by the extension; there is nothing to install.
"""

from __future__ import annotations

import time
from typing import Any

import _pekka_returns as _returns

__all__ = ["get", "values", "RemoteValue", "NotHere"]

#: A page that is there takes a request at once; its answer may take as long as the data does.
_TAKEN_SECONDS = 20.0


class NotHere(LookupError):
    """Why a value isn't here. The text says what to do."""


class RemoteValue:
    """A value that a remote cell made, as its machine describes it. `stays` says why it can't come; None where it can."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.name = _returns.clean(row.get("name"), 80)
        self.type = _returns.clean(row.get("type"), 80)
        #: Bytes: of its written form, or as far as they are known.
        self.size = row["size"] if type(row.get("size")) is int else 0
        #: The first characters of how it shows itself there.
        self.look = _returns.clean(row.get("look"), _returns.LOOK_CHARACTERS)
        self.stays: str | None = None
        if row.get("codec") is None:
            self.stays = _returns.clean(row.get("reason") or "it was not asked for", _returns.LOOK_CHARACTERS)

    def __repr__(self) -> str:
        state = "" if self.stays is None else f", stayed there: {self.stays}"
        return f"<{self.name}: {self.type}, {_bytes(self.size)}{state}>\n{self.look}"


def get(name: str) -> Any:
    """The value that `name` had when the remote cell that made it had ended; a :class:`RemoteValue` where it can't come.

    :raises NotHere: no remote run of this notebook has it, it was refused, or nobody can fetch it"""
    if not isinstance(name, str) or _returns.hidden(name):
        raise NotHere(f"{name!r:.80} is no name of a value.")
    said = _ask("get", name)
    return said["value"] if "value" in said else RemoteValue(said["row"])


def values() -> list[RemoteValue]:
    """What the remote runs of this notebook have, the newest of each name.

    :raises NotHere: nobody can tell"""
    return [RemoteValue(row) for row in _ask("list", None)["values"]]


def _ask(what: str, name: str | None) -> dict[str, Any]:
    if not _returns._can_wait and name is None:
        raise NotHere("This kernel can't be answered while a cell runs (ipykernel 7 can). The line under a cell lists its values.")
    request = _returns.Request(name)
    _returns._requests[request.id] = request
    channel = _open({"op": what, "id": request.id, "name": name})
    if not _returns._can_wait:
        raise NotHere(
            f"`{name}` is on its way, and will be there under its name when this cell has ended: use it in the next one. "
            "(ipykernel 7 can wait for it.)"
        )
    try:
        late = time.monotonic() + _TAKEN_SECONDS
        # In steps, so that an interrupt comes through.
        while not request.done.wait(0.2):
            if not request.taken and time.monotonic() > late:
                raise NotHere("No page of JupyterLab answers. Open this notebook there, connected, and try again.")
    finally:
        _returns._requests.pop(request.id, None)
        _returns.drop(request.id)
        channel.close()
    issue = request.said.get("issue")
    if issue is not None:
        raise NotHere(_returns.clean(issue, 400))
    return request.said


def _open(data: dict[str, Any]) -> Any:
    try:
        from comm import create_comm
    except ImportError:
        # Before ipykernel 6.17.
        from ipykernel.comm import Comm as create_comm
    return create_comm(target_name="pekka", data=data)


def _bytes(size: int) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}" if unit != "B" else f"{size} B"
        size /= 1000  # type: ignore[assignment]
    return f"{size:.3g} GB"


def _magic(line: str) -> None:
    """`%pekka` lists what remote runs of this notebook have; `%pekka get NAME …` binds values here."""
    verb, *names = line.split() or ["list"]
    try:
        if verb == "get" and names:
            for name in names:
                value = get(name)
                if isinstance(value, RemoteValue):
                    print(f"`{name}` stays: {value!r}")
                else:
                    _returns.helper._namespace()[name] = value
        elif verb == "list" and not names:
            _print_table(values())
        else:
            print(_magic.__doc__)
    except NotHere as error:
        print(error)


def _print_table(rows: list[RemoteValue]) -> None:
    if not rows:
        print("No remote run of this notebook has values yet.")
    name = max((len(row.name) for row in rows), default=0)
    kind = max((len(row.type) for row in rows), default=0)
    for row in rows:
        state = row.look if row.stays is None else f"stays there: {row.stays}"
        print(f"{row.name:<{name}}  {row.type:<{kind}}  {_bytes(row.size):>8}  {state}"[:160])


def _register() -> None:
    from IPython import get_ipython

    get_ipython().register_magic_function(_magic, "line", "pekka")
