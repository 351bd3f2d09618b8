"""Bytes of a machine on their way into the user's kernel. They stand in a file that has no name, are parsed in a process of its
own with limits, and only then read here. Nothing of a machine is ever unpickled or executed, and no size that it claims is
believed before it was compared with what is there.

Executed as `_pekka_reader`, after `_pekka_codecs` and `_pekka_kernel`. Python ≥ 3.9, standard library and IPython.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import marshal
import math
import mmap
import os
import re
import subprocess
import sys
import tempfile
from typing import Any

import _pekka_codecs as codecs
import _pekka_kernel as helper

#: One value: what a task may bring back in all.
MAX_VALUE = 1 << 30
#: The source of the codecs: set by who loads this module.
CODECS = ""
#: Codecs of small values that one child process reads together: they write nothing.
TOGETHER = ("json", "npy", "text")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
#: An array above this is read straight from the file, bytes.
LARGE_ARRAY = 4 << 20
#: What is taken over of a table at a time, bytes.
GROUP_BYTES = 64 << 20
#: The data in a transfer's file begins here, so that arrays in it are aligned; the codecs stand before it.
ALIGNMENT = 4096

#: Of a table that can't take more as a DataFrame than it does, so many rows become one in the child.
SAMPLE_ROWS = 1000
#: A reader that was started ahead ends by itself after this, seconds: a page may expect what never comes.
PATIENCE_SECONDS = 120
#: How it ends then.
_GAVE_UP = 4
#: Whether descriptors can be passed on to it: else it starts when all is there.
AHEAD = os.name == "posix"

#: Runs in a process of its own, before anything of a machine is parsed here: `python -I -S -c … TOLD`. It begins before the data
#: is there, and is told by lines on its stdin what to load and, last, what to read: entries of a codec and a size. One that is
#: started with its entries (where descriptors can't be passed on) has the data as stdin. It reads once. Says on its last line of
#: stderr which were refused, by their place. With -S no code of the environment runs at its start.
_CHILD = """
import json, marshal, mmap, os, re, sys
told = json.loads(sys.argv[1])
sys.path += [path for path in told["paths"] if path not in sys.path]
with mmap.mmap(told["data"], told["begin"], access=mmap.ACCESS_READ) as head:
    code = marshal.loads(head[: told["code"]])
module = type(sys)("_pekka_codecs")
exec(code, module.__dict__)

def load(used):
    global pyarrow
    if used & {"npy", "arrow"}:
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

def lines():
    import select

    held = b""
    while True:
        while b"\\n" not in held:
            if not select.select([0], [], [], told["patience"])[0]:
                os._exit(told["gaveUp"])
            more = os.read(0, 1 << 16)
            if not more:
                os._exit(told["gaveUp"])
            held += more
        line, _, held = held.partition(b"\\n")
        yield json.loads(line)

entries = told.get("read")
for line in lines() if entries is None else ():
    entries = line.get("read")
    if entries is not None:
        break
    try:
        load(set(line["load"]))
    except ImportError:
        pass  # said below, of the values that need it

file = mmap.mmap(told["data"], 0, access=mmap.ACCESS_READ)
size = sum(size for _, size in entries)
if len(file) != told["begin"] + size:
    os._exit(5)
every = memoryview(file)[told["begin"] :]
used = {codec for codec, _ in entries}

def end(refused):
    print(json.dumps(refused), file=sys.stderr)
    sys.stderr.flush()
    # What was read still lies in the mapping: the system takes both.
    os._exit(3 if refused else 0)

try:
    load(used | ({"npy"} if "json" in used and re.search(rb'"\\$t":"(npy|scalar)"', every) else set()))
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

def whole(data):
    "Whether these are the numbers of an array, as many as its header says: decode() would only copy them."
    import math
    import numpy

    descr, _, shape, begin = module.npy_header(data)
    try:
        kind = numpy.dtype(descr) if isinstance(descr, str) else None
    except Exception:
        return False
    return kind is not None and kind.kind in "biufcmM" and math.prod(shape) * kind.itemsize == len(data) - begin

def gapless(table):
    "Whether a table is of numbers alone, without gaps, and its rows have one name at most."
    of = pyarrow.types
    if not all((of.is_integer(one.type) or of.is_floating(one.type)) and one.null_count == 0 for one in table.columns):
        return False
    try:
        said = table.schema.pandas_metadata
        index = [] if said is None else said["index_columns"]
    except Exception:
        return False
    # A range of names counts only where it is as long as the table, so of several the sample would show none.
    return isinstance(index, list) and len(index) <= 1

def numeric(frame):
    "Whether it is of plain numbers still: what the table says of itself may make texts of them, of ten times the size."
    if getattr(frame, "ndim", 0) == 0:
        return False
    kinds = [frame.index.dtype, *(frame.dtypes if frame.ndim == 2 else [frame.dtype])]
    return all(type(kind).__module__.partition(".")[0] == "numpy" and kind.kind in "iuf" for kind in kinds)

def read(codec, data):
    if codec == "npy" and whole(data):
        return
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
    if not (gapless(value) and numeric(module.as_pandas(value.slice(0, told["sample"])))):
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


class Reader:
    """The process that reads the pieces of a transfer before this one does. Where it can be, it is started ahead of them."""

    def __init__(self, data: Any, begin: int, code: int, entries: list[tuple[str, int]] | None = None) -> None:
        """`entries`: of what is there already."""
        #: What it writes anew.
        self.checked = tempfile.TemporaryFile(prefix="pekka-")
        self._told = entries is not None
        paths = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        told = {"data": 0 if self._told else data.fileno(), "begin": begin, "code": code, "paths": paths, "read": entries}
        told |= {"patience": PATIENCE_SECONDS, "gaveUp": _GAVE_UP, "sample": SAMPLE_ROWS}
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _CHILD, json.dumps(told)],
            stdin=data if self._told else subprocess.PIPE,
            stdout=self.checked,
            stderr=subprocess.PIPE,
            pass_fds=() if self._told else (data.fileno(),),
        )

    @property
    def gone(self) -> bool:
        return self._child.poll() is not None

    def load(self, used: list[str]) -> None:
        """Has it load what values of these codecs need."""
        self._say({"load": used})

    def read(self, entries: list[tuple[str, int]], seconds: float) -> tuple[int, bytes]:
        """How it ended, and its last words.

        :raises TimeoutError: it took longer"""
        if not self._told:
            self._say({"read": entries})
        try:
            _, words = self._child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        return self._child.returncode, words

    def _say(self, what: dict[str, Any]) -> None:
        if self._child.stdin is None:
            return
        try:
            self._child.stdin.write(json.dumps(what).encode() + b"\n")
            self._child.stdin.flush()
        except OSError:
            pass  # it is gone, which its end tells

    def close(self) -> None:
        self._child.kill()
        self._child.wait()
        for file in (self._child.stdin, self._child.stderr, self.checked):
            if file is not None:
                try:
                    file.close()
                except OSError:
                    pass  # a line that it never took


class Transfer:
    """The pieces of one value, or of several small ones, in a file without a name."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="pekka-")
        code = _code_of(CODECS)
        self._code = len(code)
        self._begin = -(-len(code) // ALIGNMENT) * ALIGNMENT
        self._file.write(code + b"\n" * (self._begin - len(code)))
        self._file.flush()
        self.size = 0
        self._hash = hashlib.sha256()
        self._map: memoryview | None = None
        self._reader: Reader | None = None
        if AHEAD:
            try:
                self._reader = Reader(self._file, self._begin, self._code)
            except OSError:
                pass  # no room for a process now; it is tried again when all is here

    @property
    def gone(self) -> bool:
        """Whether its reader has waited for too long."""
        return self._reader is not None and self._reader.gone

    def expect(self, used: list[str]) -> None:
        """Values of these codecs are on their way."""
        if self._reader is not None:
            self._reader.load(used)

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > MAX_VALUE:
            raise codecs.Refused(f"it takes more than {MAX_VALUE >> 30} GiB")
        self._hash.update(data)
        self._file.write(data)

    @property
    def digest(self) -> str:
        """SHA-256 of what has come, in hexadecimal."""
        return self._hash.hexdigest()

    def read(self, codec: str) -> Any:
        """The value, after a child process has read it.

        :raises Refused: it is not what it says. Nothing of it was run."""
        if codec not in codecs.SAFE:
            raise codecs.Refused(f"{codec!r:.20} is no safe codec")
        if self.size == 0:
            raise codecs.Refused("it is empty")
        refused, checked = self._check([(codec, self.size)])
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
        refused, _ = self._check(entries)
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

    def _check(self, entries: list[tuple[str, int]]) -> tuple[dict[int, str], Any]:
        """Why which of them are refused, by their place; and the file of what was written anew."""
        self._file.flush()
        seconds = 60 + self.size // (1 << 20)
        reader = self._reader or self._start(entries)
        try:
            code, words = reader.read(entries, seconds)
            if code == _GAVE_UP:
                # It was started ahead, and has waited for longer than it does.
                reader = self._start(entries)
                code, words = reader.read(entries, seconds)
        except TimeoutError:
            raise codecs.Refused("reading it takes longer than its size explains") from None
        if code not in (0, 3):
            raise codecs.Refused("reading it broke the reader, which was a process of its own")
        try:
            said = json.loads(words.decode("utf-8", "replace").strip().splitlines()[-1])
            return {int(at): clean(why, 300) for at, why in said.items()}, reader.checked
        except (ValueError, IndexError, AttributeError):
            raise codecs.Refused("the reader, a process of its own, said nothing about it") from None

    def _start(self, entries: list[tuple[str, int]]) -> Reader:
        if self._reader is not None:
            self._reader.close()
        self._file.seek(0)
        self._reader = Reader(self._file, self._begin, self._code, None if AHEAD else entries)
        return self._reader

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._file.close()


_codes: dict[str, bytes] = {}


def _code_of(source: str) -> bytes:
    """What the reader executes, compiled once."""
    if source not in _codes:
        _codes.clear()
        _codes[source] = marshal.dumps(compile(source, "<codecs>", "exec"))
    return _codes[source]


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
        group.attrs = {}
        arrays.update((at + column, group.iloc[:, column].array) for column in range(group.shape[1]))
        helper.give_back(file)
    bare = codecs.as_pandas(table.slice(0, 0))
    index = codecs.as_pandas(table.select([0])).index
    frame = pandas.DataFrame(arrays, index=index, copy=False)
    frame.columns = bare.columns
    frame.attrs = bare.attrs
    return frame


def _plain_index(metadata: bytes) -> bool:
    """Whether the rows of a DataFrame are only numbered: another index is a column, which every group would need."""
    try:
        index = json.loads(metadata)["index_columns"]
        return len(index) <= 1 and all(isinstance(column, dict) and column["kind"] == "range" for column in index)
    except (ValueError, KeyError, TypeError):
        return False


def _writable(frame: Any) -> Any:
    """A table of one column is a view of the file, which can't be written to."""
    # Each column that is taken out takes a copy of what the machine says of the whole, which may be much.
    attrs, frame.attrs = frame.attrs, {}
    columns = [frame] if frame.ndim == 1 else [frame.iloc[:, at] for at in range(frame.shape[1])]
    flags = [getattr(getattr(column, "_values", None), "flags", None) for column in columns]
    if any(flag is not None and not flag.writeable for flag in flags):
        frame = frame.copy()
    frame.attrs = attrs
    return frame


def accept(codec: str, data: bytes) -> Any:
    """A value of a safe codec that a machine sent.

    :raises Refused: it is not what it says. Nothing of it was run."""
    transfer = Transfer()
    try:
        transfer.add(data)
        return transfer.read(codec)
    finally:
        transfer.close()
