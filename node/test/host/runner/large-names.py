"""A kernel with a million names, all of them read by a selection: what the helper's survey and export take of memory beside what the names take.
`python large-names.py CODECS_FILE KERNEL_FOLDER`, in the image."""

import gc
import json
import sys

from IPython.core.interactiveshell import InteractiveShell
from user_kernel import load_helper

shell = InteractiveShell.instance()
_, kernel, _ = load_helper(sys.argv[1], sys.argv[2])


def memory(which):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith(which))


def rest():
    """Memory now; its high mark begins anew."""
    gc.collect()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return memory("VmRSS")


def said(answer):
    ((_, text),) = answer._repr_mimebundle_().items()
    return json.loads(text)


bare = rest()
names = [f"many{k}" for k in range(10**6)]
for k, name in enumerate(names):
    shell.user_ns[name] = [k, str(k)]
size = rest() - bare
survey = said(kernel.survey(names))
rows = said(kernel.export([row["name"] for row in survey["values"]]))["values"]
print(
    json.dumps(
        {
            "values": len(survey["values"]),
            "more": survey["more"],
            "written": sum(row["size"] for row in rows),
            "refused": [row["reason"] for row in rows if row["reason"]],
            "size": size,
            "taken": memory("VmHWM") - bare - size,
        }
    )
)
