"""What PEKKA does in the user's own kernel: it looks at values that a remote run needs, and writes them; pekka_returns.py takes
what comes back. It is executed as a module of its own (`_pekka_kernel` in sys.modules, after `_pekka_codecs`), by a silent
request, so nothing of it appears in the namespace, the history or the output. It imports nothing of the user's. What is source
text is pekka_sources.py's, what becomes of written values pekka_exports.py's.

Python ≥ 3.9, standard library and IPython.
"""

from __future__ import annotations

import binascii
import contextlib
import importlib.util
import inspect
import io
import json
import pickle
import pkgutil
import re
import sys
import threading
import time
import types
from typing import Any, Iterator, Sequence

import _pekka_codecs as codecs
import _pekka_exports as exports
import _pekka_sources as sources
from _pekka_exports import give_back  # noqa: F401  pekka_reader.py gives back by ours

#: Names looked at for one run. A selection that reads more is a program that reads its own namespace.
MAX_NAMES = 10_000
#: Bytes written while the sheet is being made; above, a size is estimated. All is written anew, at one moment, when it is sent.
EAGER_BYTES = 4 << 20
#: What a pickle may take.
MAX_PICKLE = 2 << 30
#: Between writing arrays and comparing them, s: who is in the midst of changing one has had the processor by then.
PAUSE_SECONDS = 0.05
#: Names of things that are nobody else's business. They start unticked.
SECRET = re.compile(r"(^|_)(token|secret|passwor[dt]|passwd|pwd|api_?key|apikey|credential|private_?key|auth)s?(_|$)", re.I)
_SECRET_VALUES = re.compile(r"^(sk-[\w-]{16,}|gh[pousr]_\w{20,}|xox[abp]-[\w-]{10,}|AKIA[0-9A-Z]{12,}|-----BEGIN [A-Z ]*PRIVATE KEY)")

#: Types that belong to this computer, by the module of their class, and why.
_ROOTED = {
    "sqlite3": "An open database connection only works on this computer. Send a table instead.",
    "psycopg2": "An open database connection only works on this computer. Send a table instead.",
    "sqlalchemy": "An open database connection only works on this computer. Send a table instead.",
    "socket": "An open network connection only works on this computer.",
    "threading": "A thread or its lock only works in this process.",
    "_thread": "A lock only works in this process.",
    "asyncio": "A task of this process only works here.",
    "subprocess": "A process that runs here only works here.",
    "_io": "An open file only works on this computer. Send the file, and open it in the cell.",
    "multiprocessing": "Processes of this computer only work here.",
    "ipywidgets": "A widget lives in this page.",
}

#: Classes of the standard library that stand elsewhere in some versions, by the module that all have: Python 3.13 moved paths.
_MOVED = {"pathlib._local": "pathlib"}


class Answer:
    """A result for the page: IPython shows it by the bundle alone."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "<pekka>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        value = self._value
        if isinstance(value, (bytes, bytearray, memoryview)):
            return {"application/vnd.pekka.bytes": binascii.b2a_base64(value, newline=False).decode("ascii")}
        return {"application/vnd.pekka+json": json.dumps(value)}


def _namespace() -> dict[str, Any]:
    from IPython import get_ipython

    return get_ipython().user_ns


def _is_secret(name: str, value: Any) -> bool:
    return bool(SECRET.search(name)) or (type(value) is str and _SECRET_VALUES.match(value) is not None)


def _is_hidden(name: str) -> bool:
    return name.startswith("_") or name in ("In", "Out", "get_ipython", "exit", "quit", "open")


# ---- what travels


def survey(names: list[str], builtin: Sequence[str] = ()) -> Answer:
    """Describes the values of `names`, of those of `builtin` that the notebook has redefined, and of what they need in turn, those needed first."""
    namespace = _namespace()
    looker = _Looker(namespace)
    names = [*names, *sources.redefined(builtin, namespace)]
    for name in names[:MAX_NAMES]:
        looker.look(name, None)
    return Answer({"values": looker.rows, "python": f"{sys.version_info.major}.{sys.version_info.minor}", "more": max(0, len(names) - MAX_NAMES)})


class _Looker:
    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._seen: set[str] = set()
        #: What can't travel.
        self._staying: set[str] = set()
        #: Names that are being looked at, by whose need is behind.
        self._open: list[str] = []
        #: Rows that come right after that of a name, as a class after its base class that names it; and the name, by theirs.
        self._waiting: dict[str, list[dict[str, Any]]] = {}
        self._behind: dict[str, str] = {}
        self.rows: list[dict[str, Any]] = []

    def look(self, name: str, by: str | None) -> None:
        if name in self._seen or name not in self._namespace or len(self._seen) > MAX_NAMES:
            return
        self._seen.add(name)
        value = self._namespace[name]
        row: dict[str, Any] = {"name": name, "by": by, "needs": [], "codec": None, "size": 0, "reason": None, "python": None}
        row["kind"] = row["type"] = "object"
        first: Any = ()
        row["secret"] = _is_secret(name, value)
        try:
            row["type"] = codecs.kind_of(value)
            row["kind"] = _describe(value)
            codec, pieces, size, needs, python = write(name, value, self._namespace, EAGER_BYTES)
            row.update(codec=codec, size=size, needs=needs, python=python)
            first = sources.first_names(bytes(pieces[0]).decode()) if codec == "source" else needs
        except codecs.CannotTravel as error:
            row["reason"] = _sentence(str(error))
        except Exception as error:  # noqa: BLE001  a value's own code
            row["reason"] = f"{type(error).__name__} when it was looked at."
        # What a function needs must be there before it.
        self._open.append(name)
        for needed in row["needs"]:
            self.look(needed, name)
        self._open.pop()
        # A copy is nothing without the classes it is made of; code may never come to what it names.
        lacks = [needed for needed in row["needs"] if needed in self._staying] if row["codec"] == "pickle" else []
        if lacks:
            row.update(codec=None, python=None, reason=f"It is made of {lacks[0]}, which can’t travel.")
        if row["codec"] is None:
            self._staying.add(name)
        self._place(row, first)

    def _place(self, row: dict[str, Any], first: Any) -> None:
        """Puts a row behind those of `first`, which must be there when it is made; that of a name still open comes later."""
        rows = [row, *self._waiting.pop(row["name"], [])]
        before = {self._behind.get(name, name) for name in first}
        until = next((name for name in self._open if name in before), None)
        if until is None:
            self.rows += rows
            return
        self._waiting.setdefault(until, []).extend(rows)
        self._behind.update((held["name"], until) for held in rows)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _describe(value: Any) -> str:
    """`float, 9.5`, `list of 200`, `DataFrame, 3 columns, 1,000 rows`, `function, 14 lines`. Runs no code of the value."""
    kind = type(value)
    name = codecs.kind_of(value)
    if kind in (int, float, bool, complex, type(None)):
        return f"{name}, {value!r}"[:80]
    if kind is str:
        return f"text of {len(value):,} characters" if len(value) > 24 else "text"
    if kind in (list, tuple, set, frozenset, dict):
        return f"{name} of {len(value):,}"
    if kind is types.ModuleType:
        return "module"
    if kind is types.FunctionType:
        try:
            lines = len(inspect.getsource(value).splitlines())
            return f"function, {lines} line{'' if lines == 1 else 's'}"
        except Exception:  # noqa: BLE001
            return "function"
    if isinstance(value, type):
        return "class"
    root = kind.__module__.partition(".")[0] if isinstance(kind.__module__, str) else ""
    if root == "numpy" and kind.__name__ == "ndarray":
        return f"array, {' × '.join(f'{size:,}' for size in value.shape)} {value.dtype}"[:80]
    if root == "pandas" and kind.__name__ == "DataFrame":
        return f"DataFrame, {value.shape[0]:,} rows × {value.shape[1]:,} columns"
    if root == "pandas" and kind.__name__ == "Series":
        return f"Series of {value.shape[0]:,}"
    return name


def write(name: str, value: Any, namespace: dict[str, Any], eager: int) -> tuple[str, Any, int, list[str], str | None]:
    """(codec, pieces or None where they are written later, size, names it needs, Python it needs).

    :raises CannotTravel: there is no way"""
    plain = codecs.plain_json(value)
    if plain is not None:
        return "json", [plain], len(plain), [], None
    kind = type(value)
    if kind is types.ModuleType:
        return _reference(value.__name__, None)
    if sources.is_definition(value):
        return _definition(name, value, namespace)
    _refuse_rooted(kind)
    estimate = _estimate(value)
    if estimate > eager:
        if codecs_later(value):
            return codecs_later(value), None, estimate, [], None
    try:
        encoded = codecs.encode(value)
        return encoded.codec, encoded.pieces, encoded.size, [], None
    except codecs.CannotTravel as error:
        return _pickled(value, str(error))


def codecs_later(value: Any) -> str:
    """The codec of a large value that is written when it is sent; '' where only writing tells."""
    kind = type(value)
    if kind.__module__ == "numpy" and not value.dtype.hasobject:
        return "npy"
    if kind.__module__.partition(".")[0] in ("pandas", "pyarrow") and getattr(sys.modules.get("pyarrow"), "lib", None) is not None:
        return "arrow"
    return ""


def _estimate(value: Any) -> int:
    kind = type(value)
    root = kind.__module__.partition(".")[0] if isinstance(kind.__module__, str) else ""
    if root == "numpy" and kind.__name__ == "ndarray":
        return int(value.nbytes)
    if root == "pandas" and kind.__name__ in ("DataFrame", "Series"):
        usage = value.memory_usage(index=True, deep=False)
        return int(usage.sum() if kind.__name__ == "DataFrame" else usage)
    if root == "pyarrow" and kind.__name__ == "Table":
        return int(value.nbytes)
    if kind in (str, bytes, bytearray):
        return len(value)
    return 0


def _refuse_rooted(kind: type) -> None:
    module = kind.__module__ if isinstance(kind.__module__, str) else ""
    reason = _ROOTED.get(module.partition(".")[0])
    if reason is not None:
        raise codecs.CannotTravel(reason)
    if kind in (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType):
        raise codecs.CannotTravel("A generator that has begun can’t be copied. Make a list of it.")


def _reference(module: str, attribute: str | None) -> tuple[str, Any, int, list[str], str | None]:
    if module.partition(".")[0] in ("__main__", "builtins") and attribute is None:
        raise codecs.CannotTravel("This module is the notebook itself.")
    text = json.dumps({"module": module, "name": attribute}).encode()
    return "module", [text], len(text), [], None


def _is_installed(value: Any) -> bool:
    """Whether it is a function or a class that a module has by its name."""
    module, qualified = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    home = sys.modules.get(module) if isinstance(module, str) else None
    if home is None or module == "__main__" or not isinstance(qualified, str):
        return False
    found: Any = home
    for part in qualified.split("."):
        found = getattr(found, part, None)
    return found is value


def _definition(name: str, value: Any, namespace: dict[str, Any]) -> tuple[str, Any, int, list[str], str | None]:
    if _is_installed(value):
        return _reference(value.__module__, value.__qualname__)
    try:
        source = sources.source_of(name, value, namespace)
    except sources.Unknown as error:
        return _pickled(value, str(error))
    text = source.encode()
    return "source", [text], len(text), sources.names_in(source, name, namespace), None


def _note(value: Any, needs: dict[str, None]) -> None:
    """Notes which classes and functions of the notebook a pickle refers to by name: they travel as source."""
    if getattr(value, "__module__", None) == "__main__" and isinstance(getattr(value, "__qualname__", None), str):
        needs[value.__qualname__.partition(".")[0]] = None


class _Pickler(pickle.Pickler):
    """Writes what every Python from 3.9 on reads: protocol 5, and names of classes alone."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=5)
        self.needs: dict[str, None] = {}

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, (type, types.FunctionType)) or sources.is_cached(value):
            public = _MOVED.get(value.__module__)
            if public is not None:
                return pkgutil.resolve_name, (f"{public}:{value.__qualname__}",)
            _note(value, self.needs)
        return NotImplemented


class _Bounded(io.BytesIO):
    def write(self, data: Any) -> int:
        if self.tell() + len(data) > MAX_PICKLE:
            raise codecs.CannotTravel(f"It takes more than {MAX_PICKLE >> 30} GiB.")
        return super().write(data)


def _pickled(value: Any, why: str) -> tuple[str, Any, int, list[str], str | None]:
    """The last resort. The machine that runs the task reads it; nothing is ever unpickled here."""
    if sources.is_cached(value):
        raise codecs.CannotTravel(why)
    out = _Bounded()
    pickler = _Pickler(out)
    try:
        if isinstance(value, (type, types.FunctionType)):
            raise pickle.PicklingError("by its name alone")
        pickler.dump(value)
        data = out.getbuffer()
        return "pickle", [data], data.nbytes, list(pickler.needs), None
    except codecs.CannotTravel:
        raise
    except RecursionError:
        raise codecs.CannotTravel("It is nested too deeply.") from None
    except Exception as error:  # noqa: BLE001  a value's own code
        first = str(error)[:120]
    if importlib.util.find_spec("cloudpickle") is None:
        raise codecs.CannotTravel(f"{_sentence(why)} ({first})")
    try:
        data, needs = _with_code(value)
    except codecs.CannotTravel:
        raise
    except Exception as error:  # noqa: BLE001
        raise codecs.CannotTravel(f"{_sentence(why)} ({str(error)[:120]})") from None
    # It holds code of this Python, which no other executes.
    return "pickle", [data], data.nbytes, needs, f"{sys.version_info.major}.{sys.version_info.minor}"


def _with_code(value: Any) -> tuple[memoryview, list[str]]:
    """By cloudpickle, with the functions and classes of the notebook in it. Cached ones stay names there too."""
    import cloudpickle

    needs: dict[str, None] = {}

    def check(value: Any) -> None:
        # It would be in the pickle, without a row and a tick of its own.
        for name, item in sources.taken_along(value):
            if item is not None and _is_secret(name, item) and type(item) is not types.ModuleType and not _is_installed(item):
                raise codecs.CannotTravel(f"It reads {name}, which looks like a secret and would go along.")

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc, name-defined]
        def reducer_override(self, value: Any) -> Any:
            if sources.is_cached(value):
                _note(value, needs)
            elif isinstance(value, (type, types.FunctionType)) and not _is_installed(value):
                check(value)
            return super().reducer_override(value)

    out = _Bounded()
    Pickler(out, protocol=5).dump(value)
    return out.getbuffer(), list(needs)


def export(names: list[str]) -> Answer:
    """Writes values, as they are now, and says what each takes; `chunk` and `chunks` hand them over by the token until `release`."""
    namespace = _namespace()
    rows = []
    arrays = []
    exported = exports.begin()

    def keep(name: str, row: dict[str, Any]) -> None:
        if name not in namespace:
            raise codecs.CannotTravel("It was deleted meanwhile.")
        value = namespace[name]
        codec, pieces, _, _, python = write(name, value, namespace, 1 << 62)
        row.update(codec=codec, python=python, size=exported.keep(name, codec, pieces))
        if codec == "npy":
            arrays.append((row, value))

    try:
        for name in names:
            row: dict[str, Any] = {"name": name, "codec": None, "python": None, "size": 0, "reason": None}
            with _told(row):
                keep(name, row)
            rows.append(row)
        # A subshell writes while a cell runs; on the main thread none does.
        if arrays and threading.current_thread() is not threading.main_thread():
            time.sleep(PAUSE_SECONDS)
            for row, value in arrays:
                with _told(row):
                    exported.compare(row["name"], write(row["name"], value, namespace, 1 << 62)[1])
    except BaseException:  # an interrupt
        exports.release(exported.token)
        raise
    return Answer({"token": exported.token, "values": rows})


@contextlib.contextmanager
def _told(row: dict[str, Any]) -> Iterator[None]:
    """Has a row say why its value can't be written."""
    try:
        yield
    except codecs.CannotTravel as error:
        row["codec"], row["reason"] = None, _sentence(str(error))
    except Exception as error:  # noqa: BLE001  a value's own code
        row["codec"], row["reason"] = None, f"{type(error).__name__} when it was written."


def chunk(token: str, name: str, offset: int, length: int) -> Answer:
    """Bytes of one value; null where the kernel has let it go."""
    export = exports.of(token)
    return Answer(None if export is None else export.read(name, offset, length))


def chunks(token: str, names: list[str]) -> Answer:
    """Many small values at once, one after the other; null where the kernel has let them go."""
    export = exports.of(token)
    return Answer(None if export is None else export.read_all(names))


def release(token: str) -> Answer:
    exports.release(token)
    return Answer(None)


# ---- tables

#: Bytes of one batch of a table that is written into a file.
BATCH_BYTES = 4 << 20

_stream_in_memory = codecs._stream


def _stream(pyarrow: Any, table: Any) -> Any:
    """A table as the codecs write it; a large one into a file without a name, so that it isn't here twice."""
    if table.nbytes <= EAGER_BYTES:
        return _stream_in_memory(pyarrow, table)
    import pyarrow.ipc

    rows = max(1, table.num_rows * BATCH_BYTES // table.nbytes)

    def write(file: Any) -> None:
        with pyarrow.ipc.new_stream(pyarrow.PythonFile(file, mode="w"), table.schema) as writer:
            writer.write_table(table, max_chunksize=rows)

    return exports.mapped(write)


# The codecs are a module of our own here; the sandbox has its own, and writes into memory.
codecs._stream = _stream
