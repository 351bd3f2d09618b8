"""What leaves the user's kernel and is there again on the machine, for the cases on stdin: [{"cells", "ask", "then"}]. Prints per case what
the survey says, and what `then` is on the machine after what could travel. `python leaving-values.py RUNNER_FOLDER KERNEL_FOLDER`."""

import contextlib
import io
import json
import os
import sys
import types

from IPython.core.interactiveshell import InteractiveShell
from user_kernel import load_helper

sys.path.insert(0, sys.argv[1])
from pekka_runner import values as machine  # noqa: E402

shell = InteractiveShell.instance()
_, kernel, _ = load_helper(os.path.join(sys.argv[1], "pekka_runner", "codecs.py"), sys.argv[2])


def said(answer):
    ((mime, text),) = answer._repr_mimebundle_().items()
    return text if mime.endswith("bytes") else json.loads(text)


def arrive(token, rows, then):
    """A fresh `__main__`, as the machine has it."""
    there = types.ModuleType("__main__")
    exec("from IPython import get_ipython", there.__dict__)
    at_home = sys.modules["__main__"]
    sys.modules["__main__"] = there
    try:
        for row in rows:
            data = b"".join(bytes(piece) for piece in kernel.exports.of(token)._values[row["name"]])
            there.__dict__[row["name"]] = machine._load({**row, "type": ""}, data, there.__dict__)
        return eval(then, there.__dict__)
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"
    finally:
        sys.modules["__main__"] = at_home


def tried(case):
    shell.reset(new_session=True)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for cell in case["cells"]:
            if not shell.run_cell(cell, store_history=True).success:
                return {"broken": printed.getvalue()[-2000:]}
    rows = said(kernel.survey(case["ask"]))["values"]
    answer = said(kernel.export([row["name"] for row in rows if row["codec"] is not None]))
    result = arrive(answer["token"], answer["values"], case["then"])
    kernel.release(answer["token"])
    described = [[row["name"], row["codec"], row["python"], row["reason"]] for row in rows]
    return {"rows": described, "result": result}


print(json.dumps([tried(case) for case in json.load(sys.stdin)], default=repr))
