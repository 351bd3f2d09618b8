"""Mutates values of every safe codec and has the helper accept them, as it would from a machine. Prints JSON: what became of
each. Run with the image's Python: `python hostile-values.py CODECS_FILE KERNEL_FOLDER COUNT`."""

import io
import json
import os
import pickle
import random
import struct
import sys

from user_kernel import load_helper

CANARY = "/tmp/pekka-canary"


class Evil:
    def __reduce__(self):
        return os.system, (f"touch {CANARY}",)


codecs, _, kernel = load_helper(sys.argv[1], sys.argv[2])
count = int(sys.argv[3])

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pyarrow  # noqa: E402
import pyarrow.ipc  # noqa: E402
from PIL import Image  # noqa: E402


def bytes_of(value):
    encoded = codecs.encode(value)
    return encoded.codec, b"".join(bytes(piece) for piece in encoded.pieces)


frame = pd.DataFrame({"a": range(50), "b": np.linspace(0, 1, 50), "c": [f"text {n}" for n in range(50)]})
samples = [
    bytes_of(np.arange(60.0).reshape(3, 20)),
    bytes_of(frame),
    bytes_of(Image.fromarray((np.arange(300) % 256).astype("uint8").reshape(10, 10, 3))),
    bytes_of({"a": [1, 2.5, None, (1, {2, 3})], "b": np.arange(4), "c": 10**30, "d": b"xyz"}),
]


def npy(header, body=b""):
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text + body


def arrow(table, **options):
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema, options=pyarrow.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def overlapping_texts(size, count):
    """Views of one text, a letter further each: texts of their own where they are read."""
    text = random.Random(1).randbytes((size + count) // 2).hex().encode()
    view = b"".join(struct.pack("<i4sii", size, text[at : at + 4], 0, at) for at in range(count))
    buffers = [None, pyarrow.py_buffer(view), pyarrow.py_buffer(text)]
    return pyarrow.Array.from_buffers(pyarrow.string_view(), count, buffers)


def frame_of(table):
    """Says of itself that it was a DataFrame."""
    return table.replace_schema_metadata({b"pandas": b'{"index_columns": [], "columns": [], "column_indexes": []}'})


def texts_of(count):
    """Numbers of a byte each, of which the metadata says that they are texts."""
    told = {"name": "a", "field_name": "a", "pandas_type": "unicode", "numpy_type": "string", "metadata": None}
    said = {"index_columns": [], "columns": [told], "column_indexes": []}
    table = pyarrow.table({"a": pyarrow.array(np.ones(count, "int8"))})
    return table.replace_schema_metadata({b"pandas": json.dumps(said).encode()})


def ranges_of(count, ranges):
    """Numbers of a byte each, of which the metadata says that each has many numbers as its name."""
    name = {"kind": "range", "name": None, "start": 0, "stop": count, "step": 1}
    said = {"index_columns": [name] * ranges, "columns": [], "column_indexes": []}
    table = pyarrow.table({"a": pyarrow.array(np.ones(count, "int8"))})
    return table.replace_schema_metadata({b"pandas": json.dumps(said).encode()})


def remembering(columns, said):
    """A frame that says much of itself, of which each column that is taken out of it would take a copy."""
    table = pyarrow.table({str(at): np.ones(100) for at in range(columns)})
    said = {"index_columns": [], "columns": [], "column_indexes": [], "attributes": said}
    return table.replace_schema_metadata({b"pandas": json.dumps(said).encode()})


objects = io.BytesIO()
np.save(objects, np.array([Evil()], dtype=object), allow_pickle=True)
crafted = [
    ("npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,)}")),
    ("npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3)}", bytes(40))),
    ("npy", npy("{'descr': '|V0', 'fortran_order': False, 'shape': (1099511627776,)}")),
    ("npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}")),
    ("npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': " + "(" * 5000 + ")" * 5000 + "}")),
    ("npy", npy("__import__('os').system('touch " + CANARY + "')")),
    ("npy", npy("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,)}", bytes(8))),
    ("npy", objects.getvalue()),
    ("npy", pickle.dumps(Evil())),
    ("json", b"[" * 100_000 + b"]" * 100_000),
    ("json", b'{"$t":"os.system","v":"touch ' + CANARY.encode() + b'"}'),
    ("json", b"9" * 1_000_000),
    ("json", b'{"$t":"int","v":"' + b"9" * 1_000_000 + b'"}'),
    ("json", b"[" + b"1," * 5_000_000 + b"1]"),
    ("json", b'{"$t":"range","v":["0","9","0"]}'),
    ("json", b'{"$t":"npy","v":"AAAA"}'),
    ("json", b'{"$t":"scalar"}'),
    ("json", b"NaN"),
    ("json", b"\xff\xfe"),
    ("json", b'{"$t":"decimal","v":"' + b"1" * 5000 + b'"}'),
    ("text", b"\xff"),
    ("png", b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\rIHDR" + struct.pack(">II", 1 << 30, 1 << 30) + bytes(30)),
    ("png", b"<svg onload=alert(1)>"),
    ("arrow", b"\xff\xff\xff\xff\xff\xff\xff\x7f" + bytes(100)),
    ("arrow", pickle.dumps(Evil())),
    ("arrow", arrow(pyarrow.table({"a": pyarrow.Array.from_buffers(pyarrow.null(), (1 << 31) - 1, [None])}))),
    ("arrow", arrow(pyarrow.table({"a": pyarrow.array(np.zeros(700 << 20, "uint8"))}), compression="zstd")),
    ("arrow", arrow(frame_of(pyarrow.table({"a": overlapping_texts(1 << 20, 10_000)})))),
    ("arrow", arrow(texts_of(12_000_000))),
    ("arrow", arrow(ranges_of(12_000_000, 40))),
    ("arrow", arrow(pyarrow.table({"a": np.ones(9)}).replace_schema_metadata({b"pandas": b"[]"}))),
    ("arrow", arrow(pyarrow.table({"a": np.ones(9)}).replace_schema_metadata({b"pandas": b"[" * 100_000}))),
    ("arrow", arrow(pyarrow.table({"a": np.ones(9)}).replace_schema_metadata({b"pandas": b'{"index_columns": 7}'}))),
    ("pickle", pickle.dumps(Evil())),
    ("source", b"import os; os.system('touch " + CANARY.encode() + b"')"),
    ("module", b'{"module": "os"}'),
]

rng = random.Random(4)


def mutate(data):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(data))
        how = rng.randrange(6)
        if how == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            del data[at : at + rng.randrange(1, 40)]
        elif how == 2:
            data[at:at] = rng.randbytes(rng.randrange(1, 40))
        elif how == 3 and len(data) - at >= 4:
            data[at : at + 4] = struct.pack("<I", rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 20)))
        elif how == 4 and len(data) - at >= 8:
            data[at : at + 8] = struct.pack("<q", rng.choice((-1, 1 << 40, 1 << 62, 0)))
        else:
            del data[at:]
        if not data:
            return b"\0"
    return bytes(data)


cases = list(crafted)
while len(cases) < count:
    codec, data = samples[len(cases) % len(samples)]
    cases.append((codec, mutate(data)))
found = {"accepted": 0, "refused": 0, "bad": [], "silent": []}
for index, (codec, data) in enumerate(cases):
    try:
        kernel.accept(codec, data)
        found["accepted"] += 1
        if index < len(crafted):
            found["bad"].append([index, codec, "was accepted"])
    except codecs.Refused as error:
        found["refused"] += 1
        if len(str(error)) < 8:
            found["silent"].append([index, codec, str(error)])
    except BaseException as error:
        found["bad"].append([index, codec, repr(error)[:200]])
for codec, data in samples:
    kernel.accept(codec, data)
back = kernel.accept(*samples[1])
found["same"] = bool(isinstance(back, pd.DataFrame) and back.equals(frame))
copies = []
pd.core.generic.deepcopy = lambda value, *_: copies.append(value) or value
said = {"a": [[]] * 1000}
reader = sys.modules["_pekka_reader"]
for reader.GROUP_BYTES in (reader.GROUP_BYTES, 10_000):
    back = kernel.accept("arrow", arrow(remembering(50, said)))
    found["same"] &= back.shape == (100, 50) and back.attrs == said
found["same"] &= len(copies) <= 2
found["canary"] = os.path.exists(CANARY)
found["cases"] = len(cases)
print(json.dumps(found))
