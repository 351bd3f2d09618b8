"""What comes back from a machine into the user's kernel: what the page calls to hand it over, and what cells ask for. The page
hands over sealed data that it has opened, in pieces; pekka_reader.py reads them.

Executed as `_pekka_returns`, after `_pekka_reader`. Python ≥ 3.9, standard library and IPython.
"""

from __future__ import annotations

import keyword
import sys
import threading
import uuid
from typing import Any

import _pekka_codecs as codecs
import _pekka_kernel as helper
from _pekka_kernel import Answer
from _pekka_reader import Transfer, accept, clean  # noqa: F401  pekka.py cleans words by ours

#: Transfers under way. A page asks for one after the other.
MAX_TRANSFERS = 16
#: Characters of a look, and of the words a machine says of a value.
LOOK_CHARACTERS = 200

_transfers: dict[str, Transfer] = {}
#: One that was begun before anything of it is here.
_next: Transfer | None = None
#: Main thread and subshells are called at once; each transfer is one value's.
_lock = threading.Lock()
_requests: dict[str, Request] = {}
#: Whether the page can answer while a cell runs, through a subshell.
_can_wait = False


class Request:
    """What a cell has asked the page for."""

    def __init__(self, name: str | None) -> None:
        self.id = uuid.uuid4().hex
        #: The name that is bound where nobody waits.
        self.name = name
        self.taken = False
        self.done = threading.Event()
        #: What the page has said: `{"issue"}`, `{"values"}`, or `{"value"}`.
        self.said: dict[str, Any] = {}


def ready(can_wait: bool) -> Answer:
    """The page is there, with the magic for this kernel."""
    global _can_wait
    _can_wait = can_wait
    # Under the other name where a package of the user's own is called pekka.
    (sys.modules.get("_pekka_user") or sys.modules["pekka"])._register()
    return Answer(None)


def claim(identifier: str) -> Answer:
    """Whether the page is the first to answer a request: a notebook may be open in two."""
    request = _requests.get(identifier)
    first = request is not None and not request.taken
    if request is not None:
        request.taken = True
    if first and request.name is not None:
        expect([])
    return Answer(first)


def expect(used: list[str]) -> Answer:
    """Values are about to come, of codecs that may be known: what reads them begins meanwhile."""
    global _next
    with _lock:
        if _next is not None and _next.gone:
            _next.close()
            _next = None
        if _next is None:
            _next = Transfer()
        if used:
            _next.expect([codec for codec in used if codec in codecs.SAFE])
    return Answer(None)


def _begin() -> Transfer:
    global _next
    with _lock:
        begun, _next = _next, None
    return begun or Transfer()


def part(identifier: str, data: bytes, first: bool) -> Answer:
    """Takes a piece of a value."""
    if first:
        drop(identifier)
        while len(_transfers) >= MAX_TRANSFERS:
            drop(next(iter(_transfers)))
        _transfers[identifier] = _begin()
    _transfers[identifier].add(data)
    return Answer(None)


def drop(identifier: str) -> Answer:
    """Forgets a value whose pieces didn't all come."""
    transfer = _transfers.pop(identifier, None)
    if transfer is not None:
        transfer.close()
    return Answer(None)


def _take(identifier: str, codec: str, digest: str | None) -> Any:
    transfer = _transfers.pop(identifier, None)
    if transfer is None:
        raise codecs.Refused("nothing of it has come")
    try:
        if digest is not None and transfer.digest != digest:
            raise codecs.Refused("its bytes are not those that the machine has named")
        return transfer.read(codec)
    finally:
        transfer.close()


def settle(identifier: str, said: dict[str, Any]) -> Answer:
    """Answers a request: `{"issue"}`, `{"values": rows}`, or `{"row"}` after the pieces of a value that has come."""
    request = _requests.get(identifier)
    if request is None:
        # Its cell was interrupted.
        drop(identifier)
        return Answer({"issue": None})
    row = said.get("row")
    if row is not None and row.get("codec") is not None:
        try:
            request.said = {"value": _take(identifier, row["codec"], row.get("hash"))}
        except codecs.Refused as error:
            request.said = {"issue": f"`{request.name}` was refused: {error}."}
        except MemoryError:
            request.said = {"issue": f"There is not enough memory here for `{request.name}`."}
        except Exception as error:  # noqa: BLE001  whoever waits is told, whatever it was
            request.said = {"issue": f"`{request.name}` could not be read: {type(error).__name__}."}
    else:
        request.said = said
    if not _can_wait:
        _requests.pop(identifier, None)
        if request.name is not None and "value" in request.said and not hidden(request.name):
            helper._namespace()[request.name] = request.said["value"]
    request.done.set()
    return Answer({"issue": request.said.get("issue")})


def bind(identifier: str, name: str, codec: str, digest: str | None = None) -> Answer:
    """Reads a value that has come, of that SHA-256 in hexadecimal, and binds it in the namespace."""
    if hidden(name):
        drop(identifier)
        return Answer({"issue": "this is no name for a value"})
    try:
        helper._namespace()[name] = _take(identifier, codec, digest)
    except codecs.Refused as error:
        return Answer({"issue": clean(error, 300)})
    except Exception as error:  # noqa: BLE001  e.g. no memory, or no disk for it
        return Answer({"issue": f"it could not be read: {type(error).__name__}"})
    return Answer({"issue": None})


def bind_all(identifier: str, entries: list[Any]) -> Answer:
    """Binds small values that came as one, by `[name, codec, size]` in their order. Says of each why not; None where it is bound."""
    transfer = _transfers.pop(identifier, None)
    try:
        if transfer is None:
            raise codecs.Refused("nothing of it has come")
        found = transfer.read_all([(codec, size) for _, codec, size in entries])
    except Exception as error:  # noqa: BLE001  one of them broke the reader, or there is no memory
        found = [error for _ in entries]
    finally:
        if transfer is not None:
            transfer.close()
    issues: list[str | None] = []
    namespace = helper._namespace()
    for (name, _, _), value in zip(entries, found):
        if isinstance(value, Exception) or hidden(name):
            issues.append(clean(value, 300) if isinstance(value, Exception) else "this is no name for a value")
            continue
        namespace[name] = value
        issues.append(None)
    return Answer({"issues": issues})


def hidden(name: str) -> bool:
    """Whether no value of a machine is bound to the name."""
    return not name.isidentifier() or keyword.iskeyword(name) or helper._is_hidden(name)
