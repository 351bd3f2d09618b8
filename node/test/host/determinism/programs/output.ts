import type { Program } from './program.js'

/** What a program may show: texts, tables, pictures, errors. */
export const OUTPUT: readonly Program[] = [
  {
    name: 'set of texts',
    source:
      'words = set("the quick brown fox jumps over the lazy dog".split())\nprint(words, hash("fox"), list({w: 1 for w in words}))'
  },
  { name: 'set in JSON', source: 'import json\nprint(json.dumps(list({"x", "y", "z", "alpha", "beta"})))' },
  { name: 'repr with an address', source: 'class A: pass\nprint(A(), lambda: 0, A.__init__, object(), iter([]))' },
  {
    name: 'cells with results',
    source: ['def f(): pass\nf', '{"a": object()}', '[1, 2, 3]', 'import re; re.compile("a")']
  },
  {
    name: 'plot as PNG',
    source: [
      'import numpy as np, matplotlib.pyplot as plt\nx = np.linspace(0, 9, 300)\nplt.plot(x, np.sin(x) * np.exp(-x / 5)); plt.title("decay"); plt.show()',
      'fig, ax = plt.subplots(); ax.imshow(np.random.rand(20, 20)); plt.show()'
    ]
  },
  {
    name: 'plot as SVG',
    source: [
      '%config InlineBackend.figure_formats = ["svg"]\nimport matplotlib.pyplot as plt\nplt.plot([1, 4, 9]); plt.legend(["squares"]); plt.show()'
    ]
  },
  {
    name: 'plot into a file',
    source: `
import matplotlib, hashlib; matplotlib.use("agg")
import matplotlib.pyplot as plt
plt.hist([1, 2, 2, 3, 3, 3]); 
for kind in ("png", "svg", "pdf"):
    plt.savefig(f"a.{kind}"); print(kind, hashlib.sha256(open(f"a.{kind}", "rb").read()).hexdigest())`
  },
  {
    name: 'table as HTML',
    source: ['import pandas as pd, numpy as np\npd.DataFrame(np.arange(12).reshape(4, 3) / 7, columns=list("abc"))']
  },
  {
    name: 'styled table',
    source: [
      'import pandas as pd\npd.DataFrame({"a": [1, 2], "b": [0.1, 0.2]}).style.highlight_max(color="gold").set_caption("best")'
    ],
    needs: ['jinja2']
  },
  {
    name: 'LaTeX and Markdown',
    source: [
      'from IPython.display import Latex, Markdown, display\ndisplay(Latex(r"$e^{i\\pi}$"), Markdown("**bold**"))'
    ]
  },
  {
    name: 'an updated display',
    source: [
      'from IPython.display import display\nh = display("0 %", display_id=True)\nfor k in range(5): h.update(f"{k * 25} %")'
    ]
  },
  {
    name: 'cleared output',
    source: [
      'from IPython.display import clear_output\nfor k in range(4):\n    clear_output(wait=True); print("step", k)'
    ]
  },
  { name: 'progress bar', source: ['from tqdm.auto import tqdm\nprint(sum(tqdm(range(1000))))'], needs: ['tqdm'] },
  {
    name: 'an error with an address',
    source: ['class Broken: pass\nraise ValueError(f"cannot use {Broken()}")'],
    fails: true
  },
  {
    name: 'a script that fails',
    source: 'import numpy as np\nprint("before")\nnp.linalg.inv(np.zeros((2, 2)))',
    fails: true
  },
  {
    name: 'warnings',
    source: ['import warnings, numpy as np\nwarnings.warn("careful"); print(np.float64(1) / np.float64(3))']
  },
  {
    name: 'machine, as far as it is alike',
    source:
      'import os, platform, socket, getpass\nprint(os.uname(), os.cpu_count(), socket.gethostname(), platform.platform(), os.getcwd(), os.path.expanduser("~"))'
  },
  {
    name: 'symbolic',
    source:
      'from sympy import *\nx = symbols("x")\nprint(integrate(exp(-x**2) * cos(x), (x, -oo, oo)), series(tan(x), x, 0, 8))',
    needs: ['sympy']
  },
  {
    name: 'graph and its layout',
    source:
      'import networkx as nx\ng = nx.barabasi_albert_graph(30, 2)\nprint(nx.spring_layout(g)[0], sorted(nx.pagerank(g).items())[:3])',
    needs: ['networkx', 'scipy']
  },
  {
    name: 'interactive plot',
    source: ['import plotly.express as px\npx.scatter(x=[1, 2, 3], y=[3, 1, 2])'],
    needs: ['plotly']
  },
  {
    name: 'compiled loop',
    source:
      'import numba, numpy as np\n@numba.njit\ndef f(a):\n    s = 0.0\n    for v in a: s += v * v * 0.1\n    return s\nprint(f(np.random.default_rng(1).random(100_000)).hex())',
    needs: ['numba']
  }
]
