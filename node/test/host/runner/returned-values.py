"""What the user's kernel does with values that come back, with a page played by this script. Prints JSON, a word per check.
Run with the image's Python: `python returned-values.py CODECS_FILE KERNEL_FOLDER`."""

import hashlib
import json
import os
import random
import sys
import threading
import warnings

warnings.simplefilter("ignore")
from IPython.core.interactiveshell import InteractiveShell  # noqa: E402
from user_kernel import load, load_helper  # noqa: E402

shell = InteractiveShell.instance()


codecs, kernel, returns = load_helper(sys.argv[1], sys.argv[2])
pekka, _ = load("pekka", os.path.join(sys.argv[2], "pekka.py"))


def said(answer):
    (text,) = answer._repr_mimebundle_().values()
    return json.loads(text)


class Page:
    """Answers requests from a thread of its own, as the page does through a subshell."""

    def __init__(self, rows):
        self.rows = rows
        self.opened = []

    def open(self, data):
        self.opened.append(data)
        threading.Thread(target=self.answer, args=(data,)).start()
        return self

    def close(self):
        pass

    def answer(self, data):
        if not said(returns.claim(data["id"])):
            return
        if data["op"] == "list":
            returns.settle(data["id"], {"values": [row for row, _ in self.rows.values()]})
            return
        row, body = self.rows.get(data["name"], (None, b""))
        if row is None:
            returns.settle(data["id"], {"issue": f"No remote run has `{data['name']}`."})
            return
        if row["codec"] is not None:
            for at in range(0, len(body), 5):
                returns.part(data["id"], body[at : at + 5], at == 0)
        returns.settle(data["id"], {"row": row})


def row(name, codec, **more):
    return {"name": name, "type": "thing", "look": "", "codec": codec, "reason": None, "size": 8, **more}


handle = row("model", None, type="Forest\x1b[31m", look="a\u202eb\nc" + "x" * 5000, reason="it has no\x07 safe form", size=12_300_000)
page = Page(
    {
        "x": (row("x", "json"), b'{"$t":"tuple","v":[1,2.5,"\xc3\xbc"]}'),
        "model": (handle, b""),
        "bad": (row("bad", "npy"), b"\x93NUMPY nothing of the kind"),
        "worse": (row("worse", "pickle"), b"cos\nsystem\n(S'true'\ntR."),
        "nothing": (row("nothing", "json"), b""),
    }
)
pekka._open = page.open


def refused(call, *args):
    try:
        call(*args)
    except pekka.NotHere as error:
        return str(error)
    return "came"


returns.ready(True)
found = {"x": pekka.get("x") == (1, 2.5, "ü"), "bound": "x" in shell.user_ns}
for name in ("bad", "worse", "nothing", "absent", "_hidden", "get_ipython", "a b"):
    found[name] = refused(pekka.get, name)
found["handle"] = repr(pekka.get("model"))
found["names"] = [value.name for value in pekka.values()]
shell.run_line_magic("pekka", "get x")
found["magic"] = shell.user_ns.get("x") == (1, 2.5, "ü")
# Nothing stays of a request that is over.
found["left"] = [len(returns._requests), len(returns._transfers)]

# A second page comes too late.
request = returns.Request("x")
returns._requests[request.id] = request
found["claims"] = [said(returns.claim(request.id)), said(returns.claim(request.id)), said(returns.claim("other"))]
returns._requests.clear()

# A kernel that can't be answered meanwhile gets the value when its cell has ended.
returns.ready(False)
pekka._open = lambda data: page.opened.append(data)
del shell.user_ns["x"]
found["later"] = refused(pekka.get, "x")
found["before"] = "x" in shell.user_ns
page.answer(page.opened[-1])
found["after"] = shell.user_ns.get("x") == (1, 2.5, "ü")

# What the page binds by itself, and what it never does.
for name in ("y", "_y", "In", "class"):
    returns.part("t", b"7", True)
    said(returns.bind("t", name, "json"))
found["namespace"] = [shell.user_ns.get("y"), "_y" in shell.user_ns, shell.user_ns.get("In") != 7, "class" in shell.user_ns]

# The kernel holds what it was handed against the hash that the machine named, before anything reads it.
returns.part("t", b"[1,", True)
returns.part("t", b"2]", False)
found["named"] = [said(returns.bind("t", "named", "json", hashlib.sha256(b"[1,2]").hexdigest()))["issue"], shell.user_ns.get("named")]
returns.part("t", b"[1,3]", True)
found["other"] = [said(returns.bind("t", "named", "json", hashlib.sha256(b"[1,2]").hexdigest()))["issue"], shell.user_ns.get("named")]
request = returns.Request("named")
returns._requests[request.id] = request
returns.part(request.id, b"[1,3]", True)
row = {"name": "named", "codec": "json", "hash": "00"}
found["settled"] = [said(returns.settle(request.id, {"row": row}))["issue"], shell.user_ns.get("named")]

# Many small ones come as one, and one that lies doesn't keep the others away.
bodies = [("a", "json", b"[1,2]"), ("b", "text", b"\xff"), ("_c", "json", b"1"), ("d", "text", "ä".encode())]
returns.part("t", b"".join(body for _, _, body in bodies), True)
found["together"] = said(returns.bind_all("t", [[name, codec, len(body)] for name, codec, body in bodies]))["issues"]
found["small"] = [shell.user_ns.get("a"), "b" in shell.user_ns, "_c" in shell.user_ns, shell.user_ns.get("d")]
returns.part("t", b"77", True)
found["short"] = said(returns.bind_all("t", [["e", "json", 1], ["f", "pickle", 1]]))["issues"]

# None ends in the next one.
halves = [b"[1", b",2]", b"\"a", b"b\"", b"1,2", b"3"]
returns.part("t", b"".join(halves), True)
found["halves"] = said(returns.bind_all("t", [[f"h{at}", "json", len(half)] for at, half in enumerate(halves)]))["issues"]

# What is read or written in the short way is what the codecs make of it.
plain = [1, -7, 2**53, 1.5, 1e300, -0.0, True, None, "", "a\"b\\c\n\x00/", [], {}, [1, "x", None, 2.5], {"a": 1, "b c": [2]}, [[[]]]]
texts = [b"".join(map(bytes, codecs.encode(value).pieces)) for value in plain]
odd = [2**53 + 1, float("nan"), float("inf"), (1,), {"$t": 1}, {1: 2}, "\u00fc", "\ud800", [1] * 100, b"x", type("I", (int,), {})(3)]
rng = random.Random(8)
for at in range(4000):
    text = bytearray(rng.choice(texts[: len(plain)]) + rng.choice(texts[: len(plain)]) * (at % 3 == 0))
    for _ in range(rng.choice((1, 2, 3))):
        place = rng.randrange(len(text) + 1)
        text[place : place + rng.choice((0, 1))] = rng.choice((b"[", b"]", b"{", b'"', b",", b"1", b":", b"e5", b" ", b"\\", b"-", b"null", b""))
    texts.append(bytes(text))
deep, long = b"[" * 61 + b"]" * 61, b"-" + b"9" * 20
texts += [deep, long, b"NaN", b"-Infinity", b'{"$t":"range","v":["0","9","1"]}', b'{"\\u0024t":"range","v":["0","9","1"]}', b" 1", b"1 ", b'"\xc3\xbc"']
differ, short = [], [0, 0]
for text in texts:
    read = codecs.read_plain(text)
    if read is None:
        continue
    short[0] += 1
    try:
        whole = codecs.decode_json(text)
    except codecs.Refused as error:
        whole = error
    if repr(read[0]) != repr(whole):
        differ.append([text.decode(), repr(whole)])
for value in (*plain, *odd):
    wrote = codecs.plain_json(value)
    if wrote is not None:
        short[1] += 1
        tree = codecs._Writer().tree(value, 0)
        if wrote != json.dumps(tree, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode():
            differ.append(repr(value))
found["plain"] = [differ, short[0] > 150, short[1], [codecs.read_plain(text) is None for text in texts[-9:]]]

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pyarrow  # noqa: E402, F401

same = []
for value in (
    pd.DataFrame({"a": [1, 2, 3]}),
    pd.DataFrame({"a": [1.5, 2], "b": ["x", "y"]}, index=["k", "l"]),
    pd.Series([1, 2, 3], name="s"),
):
    codec, pieces = codecs.encode(value)
    back = returns.accept(codec, b"".join(bytes(piece) for piece in pieces))
    same.append(bool(type(back) is type(value) and back.equals(value)))
    back.iloc[0] = back.iloc[1]  # it can be written to
array = np.arange(12.0).reshape(3, 4).T
codec, pieces = codecs.encode(array)
back = returns.accept(codec, b"".join(bytes(piece) for piece in pieces))
back[0] = 5
codec, pieces = codecs.encode({"score": np.float64(0.5)})
score = returns.accept(codec, b"".join(bytes(piece) for piece in pieces))["score"]
found["same"] = [*same, bool(type(score) is np.float64 and score == 0.5), bool((back[1:] == array[1:]).all())]

# What reads them is started ahead; it ends with its one reading, and one that waited for too long is replaced by another.
(codec, pieces) = codecs.encode(np.arange(5))
body = b"".join(bytes(piece) for piece in pieces)
ahead = []
for patience in (0, 120):
    returns.reader.PATIENCE_SECONDS = patience
    returns.expect([codec])
    child = returns._next._reader._child
    if patience == 0:
        child.wait()
    returns.part("t", body, True)
    told = said(returns.bind("t", "ahead", codec))
    ahead.append([told["issue"], shell.user_ns["ahead"].tolist(), child.poll() is not None, returns._next is None])
# Where no descriptors can be passed on, it begins when all is there.
returns.reader.AHEAD = False
ahead.append(returns.accept(codec, body).tolist())
ahead.append(returns.accept("arrow", b"".join(map(bytes, codecs.encode(pd.DataFrame({"a": [1, 2]})).pieces)))["a"].tolist())
returns.reader.AHEAD = True
# A cell that asks has it started with the page's first word.
request = returns.Request("x")
returns._requests[request.id] = request
returns.claim(request.id)
ahead.append(returns._next is not None and not returns._next.gone)
returns._next.close()
returns._next = None
returns._requests.clear()
found["ahead"] = ahead

# Large ones: written into a file, taken over by groups of columns, and arrays straight into their place.
kernel.EAGER_BYTES = kernel.BATCH_BYTES = returns.reader.GROUP_BYTES = returns.reader.LARGE_ARRAY = 500
wide = pd.DataFrame({f"c{k}": np.arange(100) * (k + 0.5) for k in range(20)})
named = pd.DataFrame(np.arange(300).reshape(100, 3), columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["x", None]))
mixed = pd.DataFrame(
    {
        "text": [f"line {k}" for k in range(100)],
        "kind": pd.Categorical(["p", "q"] * 50),
        "when": pd.date_range("2020-01-01", periods=100, tz="Europe/Vienna"),
        "may be": pd.array([1, None] * 50, dtype="Int64"),
        "yes": [True, False] * 50,
    }
)
again = pd.DataFrame(np.arange(400.0).reshape(100, 4), columns=[0, 1, 2, 7])
shifted = wide.set_index(pd.date_range("2020-01-01", periods=100))
large = []
for value in (wide, named, mixed, again, shifted, wide["c3"]):
    codec, pieces = codecs.encode(value)
    large.append(type(pieces[0]).__name__)
    shell.user_ns["big"] = value
    told = said(kernel.export(["big"]))
    token, (row_of,) = told["token"], told["values"]
    body = b"".join(bytes(kernel.chunk(token, "big", at, 777)._value) for at in range(0, row_of["size"], 777))
    kernel.release(token)
    back = returns.accept("arrow", body)
    (pd.testing.assert_series_equal if isinstance(value, pd.Series) else pd.testing.assert_frame_equal)(back, value, check_freq=False)
    back.iloc[0] = back.iloc[1]
for array in (np.arange(5000.0).reshape(50, 100).T, np.arange(900).astype("M8[s]"), np.zeros(300, [("a", "<i4"), ("b", "S3")])):
    codec, pieces = codecs.encode(array)
    back = returns.accept(codec, b"".join(bytes(piece) for piece in pieces))
    large.append(bool(back.dtype == array.dtype and back.flags.f_contiguous == array.flags.f_contiguous and (back == array).all()))
    back[0] = back[1]
found["large"] = large

# What contains itself goes as a copy that keeps the circle; what raises when it is shown is described without being shown.
loop = [1]
loop.append(loop)


class Odd:
    def __repr__(self):
        raise ValueError("no")


shell.user_ns.update(loop=loop, odd=[Odd()])
rows = said(kernel.survey(["loop", "odd"]))["values"]
found["odd"] = [[row["name"], row["codec"], row["kind"], row["reason"]] for row in rows if row["name"] in ("loop", "odd")]
token = said(kernel.export(["loop"]))["token"]
again = __import__("pickle").loads(kernel.chunk(token, "loop", 0, 1000)._value)
found["circle"] = again[1] is again
kernel.release(token)

# A program that reads a million names is told of as many as may travel.
names = [f"many{k}" for k in range(10**6)]
shell.user_ns.update(dict.fromkeys(names, 1))
survey = said(kernel.survey(names))
found["many"] = [len(survey["values"]), survey["more"], survey["values"][0]["name"], survey["values"][-1]["codec"]]
print(json.dumps(found))
