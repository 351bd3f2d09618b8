"""What comes back from a machine into the user's kernel. The page hands over sealed data that it has opened, in pieces; they stand
in a file that has no name, are parsed in a process of its own with limits, and only then read here. Nothing of a machine is
ever unpickled or executed, and no size that it claims is believed before it was compared with what is there.

Executed as `_pekka_returns`, after `_pekka_codecs` and `_pekka_kernel`. Python ≥ 3.9, standard library and IPython.
"""

from __future__ import annotations

import importlib.util
import json
import keyword
import math
import mmap
import os
import re
import subprocess
import sys
import tempfile
import threading
import uuid
from typing import Any

import _pekka_codecs as codecs
import _pekka_kernel as helper
from _pekka_kernel import Answer

#: One value: what a task may bring back in all.
MAX_VALUE = 1 << 30
#: Codecs of small values that one child process reads together: they write nothing.
TOGETHER = ("json", "npy", "text")
#: Transfers under way. A page asks for one after the other.
MAX_TRANSFERS = 16
#: Characters of a look, and of the words a machine says of a value.
LOOK_CHARACTERS = 200
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
#: An array above this is read straight from the file, bytes.
LARGE_ARRAY = 4 << 20
#: What is taken over of a table at a time, bytes.
GROUP_BYTES = 64 << 20
#: The data in a transfer's file begins here, so that arrays in it are aligned; the codecs stand before it.
ALIGNMENT = 4096

#: Runs in a process of its own, before anything of a machine is parsed here: `python -I -c … ENTRIES PATHS`, each entry a
#: codec and a size. Says on its last line of stderr which were refused, by their place.
_CHILD = """
import json, mmap, os, re, sys
entries, paths = json.loads(sys.argv[1]), json.loads(sys.argv[2])
sys.path += [path for path in paths if path not in sys.path]
file = mmap.mmap(sys.stdin.fileno(), 0, access=mmap.ACCESS_READ)
size = sum(size for _, size in entries)
begin = len(file) - size
source = bytes(memoryview(file)[:begin])
every = memoryview(file)[begin:]
module = type(sys)("_pekka_codecs")
exec(compile(source, "<codecs>", "exec"), module.__dict__)
used = {codec for codec, _ in entries}

def end(refused):
    print(json.dumps(refused), file=sys.stderr)
    sys.stderr.flush()
    # What was read still lies in the mapping: the system takes both.
    os._exit(3 if refused else 0)

try:
    if used & {"npy", "arrow"} or "json" in used and re.search(rb'"\\$t":"(npy|scalar)"', every):
        import numpy
    if "arrow" in used:
        import pyarrow
        import pyarrow.ipc
        try:
            import pandas
        except ImportError:
            pass
    if "png" in used:
        try:
            import PIL.Image
        except ImportError:
            pass
except ImportError as error:
    end({str(at): f"it needs the package {error.name} in your kernel" for at in range(len(entries))})
try:
    import resource

    # What is loaded already, and six times the value: decoded, checked, and written again.
    with open("/proc/self/statm") as statm:
        now = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    written = 2 * size + (1 << 20) if "arrow" in used else 1 << 20
    for what, limit in ((resource.RLIMIT_AS, now + 6 * size + (256 << 20)), (resource.RLIMIT_CPU, 60 + size // (1 << 20)),
                        (resource.RLIMIT_FSIZE, written), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (limit, limit))
except (ImportError, OSError, ValueError):
    pass

def overlap(kind):
    for name in ("string_view", "binary_view", "list_view", "large_list_view", "run_end_encoded"):
        if getattr(pyarrow.types, "is_" + name, lambda kind: False)(kind):
            return True
    return any(overlap(kind.field(index).type) for index in range(kind.num_fields))

def read(codec, data):
    value = module.decode(codec, data)
    if codec != "arrow":
        return
    if any(overlap(field.type) for field in value.schema):
        # A thousand texts may be one text, and take a thousand times its bytes where they are read.
        raise module.Refused("it has a column of which parts may be one and the same")
    if value.num_rows > 8 * len(data):
        # A column of nulls takes no bytes, whatever its length; as a DataFrame it would.
        raise module.Refused(f"it claims {value.num_rows} rows in {len(data)} bytes")
    # Written anew by our own library: the bytes that are parsed next are no longer the machine's.
    metadata = {key: text for key, text in (value.schema.metadata or {}).items() if key in (b"pandas", b"pekka")}
    value = value.replace_schema_metadata(metadata)
    with pyarrow.ipc.new_stream(sys.stdout.buffer, value.schema) as writer:
        writer.write_table(value)
    sys.stdout.buffer.flush()
    # What a table takes as a DataFrame shows here, below the limit, or not at all.
    module.as_pandas(value)

refused, begin = {}, 0
for at, (codec, length) in enumerate(entries):
    try:
        read(codec, every[begin : begin + length])
    except module.Refused as error:
        refused[str(at)] = str(error)
    except MemoryError:
        refused[str(at)] = "it takes more memory than its size explains"
    begin += length
end(refused)
"""


def clean(text: Any, most: int) -> str:
    """Words of a machine as they may stand in a terminal: one line, no control or direction characters, cut."""
    bare = _COLOUR.sub("", str(text)[: 4 * most])
    plain = "".join(letter if letter.isprintable() else " " for letter in bare)
    plain = " ".join(plain.split())
    return plain if len(plain) <= most else plain[: most - 1] + "…"


class Transfer:
    """The pieces of one value, in a file without a name."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="pekka-")
        source = CODECS.encode()
        self._begin = -(-len(source) // ALIGNMENT) * ALIGNMENT
        self._file.write(source + b"\n" * (self._begin - len(source)))
        self.size = 0
        self._map: memoryview | None = None

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > MAX_VALUE:
            raise codecs.Refused(f"it takes more than {MAX_VALUE >> 30} GiB")
        self._file.write(data)

    def read(self, codec: str) -> Any:
        """The value, after a child process has read it.

        :raises Refused: it is not what it says. Nothing of it was run."""
        if codec not in codecs.SAFE:
            raise codecs.Refused(f"{codec!r:.20} is no safe codec")
        if self.size == 0:
            raise codecs.Refused("it is empty")
        with tempfile.TemporaryFile(prefix="pekka-") as checked:
            refused = self._check([(codec, self.size)], checked)
            if refused:
                raise codecs.Refused(refused[0])
            if codec == "arrow":
                return _table(checked)
        if codec == "npy":
            return self._array()
        return codecs.decode(codec, bytes(self._data(0, self.size)))

    def _array(self) -> Any:
        """An array that the child has read without complaint; a large one straight into its place, so that it isn't here twice."""
        descr, fortran, shape, begin = codecs.npy_header(self._data(0, min(self.size, codecs.MAX_NPY_HEADER + 12)))
        import numpy

        kind = numpy.lib.format.descr_to_dtype(descr)
        count = math.prod(shape)
        if self.size <= LARGE_ARRAY or kind.hasobject or kind.itemsize * count != self.size - begin:
            return codecs.decode("npy", self._data(0, self.size))
        array = numpy.empty(count, kind)
        into = memoryview(array.view(numpy.uint8)).cast("B")
        self._file.seek(self._begin + begin)
        while into.nbytes > 0:
            # One call gives at most 2 GiB on some systems.
            read = self._file.readinto(into)
            if not read:
                raise codecs.Refused("its file was cut meanwhile")
            into = into[read:]
        return array.reshape(shape, order="F" if fortran else "C")

    def read_all(self, entries: list[tuple[str, int]]) -> list[Any]:
        """Small values that stand one after the other: each the value, or the :class:`Refused` that it met."""
        if any(codec not in TOGETHER or size <= 0 for codec, size in entries) or sum(size for _, size in entries) != self.size:
            raise codecs.Refused("the sizes of what has come are not those that were said")
        with tempfile.TemporaryFile(prefix="pekka-") as checked:
            refused = self._check(entries, checked)
        values: list[Any] = []
        begin = 0
        for at, (codec, size) in enumerate(entries):
            try:
                if at in refused:
                    raise codecs.Refused(refused[at])
                values.append(codecs.decode(codec, bytes(self._data(begin, size))))
            except codecs.Refused as error:
                values.append(error)
            begin += size
        return values

    def _data(self, begin: int, size: int) -> memoryview:
        if self._map is None:
            # Closed with its last reader: a buffer in use can't be.
            self._map = memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))
        return self._map[self._begin + begin : self._begin + begin + size]

    def _check(self, entries: list[tuple[str, int]], checked: Any) -> dict[int, str]:
        """Why which of them are refused, by their place."""
        self._file.flush()
        self._file.seek(0)
        paths = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        command = [sys.executable, "-I", "-c", _CHILD, json.dumps(entries), json.dumps(paths)]
        try:
            child = subprocess.run(
                command, stdin=self._file, stdout=checked, stderr=subprocess.PIPE, timeout=60 + self.size // (1 << 20)
            )
        except subprocess.TimeoutExpired:
            raise codecs.Refused("reading it takes longer than its size explains") from None
        if child.returncode not in (0, 3):
            raise codecs.Refused("reading it broke the reader, which was a process of its own")
        try:
            said = json.loads(child.stderr.decode("utf-8", "replace").strip().splitlines()[-1])
            return {int(at): clean(why, 300) for at, why in said.items()}
        except (ValueError, IndexError, AttributeError):
            raise codecs.Refused("the reader, a process of its own, said nothing about it") from None

    def close(self) -> None:
        self._file.close()


def _table(checked: Any) -> Any:
    checked.seek(0, os.SEEK_END)
    file = mmap.mmap(checked.fileno(), checked.tell(), access=mmap.ACCESS_READ)
    table = codecs.decode("arrow", file)
    metadata = table.schema.metadata or {}
    if b"pandas" not in metadata or importlib.util.find_spec("pandas") is None:
        return table
    import pandas  # it was a DataFrame there

    groups = -(-table.nbytes // GROUP_BYTES)
    if groups < 2 or table.num_columns < 2 or not _plain_index(metadata[b"pandas"]):
        return _writable(codecs.as_pandas(table))
    # By groups of columns: of the file no more than a group's pages are this process's memory at a time.
    width = -(-table.num_columns // groups)
    arrays: dict[int, Any] = {}
    for at in range(0, table.num_columns, width):
        group = _writable(codecs.as_pandas(table.select(list(range(at, min(at + width, table.num_columns))))))
        arrays.update((at + column, group.iloc[:, column].array) for column in range(group.shape[1]))
        helper.give_back(file)
    bare = codecs.as_pandas(table.slice(0, 0))
    index = codecs.as_pandas(table.select([0])).index
    frame = pandas.DataFrame(arrays, index=index, copy=False)
    frame.columns = bare.columns
    return frame


def _plain_index(metadata: bytes) -> bool:
    """Whether the rows of a DataFrame are only numbered: another index is a column, which every group would need."""
    try:
        index = json.loads(metadata)["index_columns"]
        return all(isinstance(column, dict) and column["kind"] == "range" for column in index)
    except (ValueError, KeyError, TypeError):
        return False


def _writable(frame: Any) -> Any:
    """A table of one column is a view of the file, which can't be written to."""
    columns = [frame] if frame.ndim == 1 else [frame.iloc[:, at] for at in range(frame.shape[1])]
    flags = [getattr(getattr(column, "_values", None), "flags", None) for column in columns]
    return frame.copy() if any(flag is not None and not flag.writeable for flag in flags) else frame


def accept(codec: str, data: bytes) -> Any:
    """A value of a safe codec that a machine sent.

    :raises Refused: it is not what it says. Nothing of it was run."""
    transfer = Transfer()
    try:
        transfer.add(data)
        return transfer.read(codec)
    finally:
        transfer.close()


# ---- what the page calls

_transfers: dict[str, Transfer] = {}
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
    return Answer(first)


def part(identifier: str, data: bytes, first: bool) -> Answer:
    """Takes a piece of a value."""
    if first:
        drop(identifier)
        while len(_transfers) >= MAX_TRANSFERS:
            drop(next(iter(_transfers)))
        _transfers[identifier] = Transfer()
    _transfers[identifier].add(data)
    return Answer(None)


def drop(identifier: str) -> Answer:
    """Forgets a value whose pieces didn't all come."""
    transfer = _transfers.pop(identifier, None)
    if transfer is not None:
        transfer.close()
    return Answer(None)


def _take(identifier: str, codec: str) -> Any:
    transfer = _transfers.pop(identifier, None)
    if transfer is None:
        raise codecs.Refused("nothing of it has come")
    try:
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
            request.said = {"value": _take(identifier, row["codec"])}
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


def bind(identifier: str, name: str, codec: str) -> Answer:
    """Reads a value that has come, and binds it in the namespace."""
    if hidden(name):
        drop(identifier)
        return Answer({"issue": "this is no name for a value"})
    try:
        helper._namespace()[name] = _take(identifier, codec)
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
    for (name, _, _), value in zip(entries, found):
        if isinstance(value, Exception) or hidden(name):
            issues.append(clean(value, 300) if isinstance(value, Exception) else "this is no name for a value")
            continue
        helper._namespace()[name] = value
        issues.append(None)
    return Answer({"issues": issues})


def hidden(name: str) -> bool:
    """Whether no value of a machine is bound to the name."""
    return not name.isidentifier() or keyword.iskeyword(name) or helper._is_hidden(name)
