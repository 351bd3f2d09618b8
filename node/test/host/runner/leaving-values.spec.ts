import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../../../..')

interface Case {
  title: string
  cells: string[]
  ask: string[]
  /** Evaluated on the machine, after what could travel. */
  then: string
  result?: unknown
  /** Names in the order in which they travel, each `name` or `name: why it stays`. */
  travels: (string | RegExp)[]
}

/** By a Python without cloudpickle. */
const CASES: Case[] = [
  {
    title: 'a function leaves at home what only has the name of its parameters and local variables',
    cells: [
      'df, scale, total, i, k, rest, options, error = [1], 2, 3, 4, 5, 6, 7, 8',
      `def mean(df, scale, *rest, **options):
    total = sum(x * scale for i, x in enumerate(df))
    with open("/dev/null") as file:
        k = file.read()
    try:
        return total / len(df)
    except ZeroDivisionError as error:
        return [k for k in rest]`
    ],
    ask: ['mean'],
    then: 'mean([2, 4], 10)',
    result: 30,
    travels: ['mean']
  },
  {
    title: 'a function takes along a name with an underscore, and what that reads in turn',
    cells: ['_factor = 3', 'def _norm(x):\n    return x * _factor\ndef f(x): return _norm(x)'],
    ask: ['f'],
    then: 'f(2)',
    result: 6,
    travels: ['_factor', '_norm', 'f']
  },
  {
    title: 'a function takes along a builtin that the notebook has redefined, and no other',
    cells: [
      'from math import pow as sum\nmax = 9\nlen = len',
      'def f(x): return sum(x, 2) + max + len([abs(x)]) + int(open is not None)'
    ],
    ask: ['f'],
    then: 'f(3)',
    result: 20,
    travels: ['sum', 'max', 'f']
  },
  {
    title: 'a function takes along nothing of IPython’s own',
    cells: [
      '1 + 1',
      'def f(x):\n    return [_, __, ___, _1, _i, _ii, _i1, _ih, _oh, _dh, In, Out, exit, quit, display, __name__] and x'
    ],
    ask: ['f'],
    then: '"f" in globals()',
    result: true,
    travels: ['f']
  },
  {
    title: 'functions and classes take along default values, decorators, annotations and base classes',
    cells: [
      'from dataclasses import dataclass, field\nimport functools\nlimit, unit, kind = 4, 10, int\nclass Base:\n    start = 1',
      `def twice(g):
    @functools.wraps(g)
    def run(*args): return unit * g(*args)
    return run
@twice
def f(x: kind, y=limit) -> kind:
    return x + y
@dataclass
class Point(Base):
    x: kind = limit
    y: list = field(default_factory=lambda: [unit])
    own = limit + 1
    twin = own
    def g(self, own): return [self.x, self.start, own, *self.y]`,
      'own, twin, x, y = 1, 2, 3, 4'
    ],
    ask: ['f', 'Point'],
    then: '[f(1), Point(2).g(7)]',
    result: [50, [2, 1, 7, 10]],
    travels: ['functools', 'unit', 'twice', 'limit', 'kind', 'f', 'dataclass', 'Base', 'field', 'Point']
  },
  {
    title: 'a global travels that is counted up or deleted, and one that a class takes over by its name',
    cells: [
      'hits, gone, size = 1, 2, 3\ndef bump():\n    global hits, gone\n    hits += 1\n    del gone\n    return hits\nclass Box:\n    size = size'
    ],
    ask: ['bump', 'Box'],
    then: '[bump(), Box.size]',
    result: [2, 3],
    travels: ['hits', 'gone', 'bump', 'size', 'Box']
  },
  {
    title: 'cached functions travel alone, called by others, and inside of values',
    cells: [
      'import functools\nfrom functools import cache',
      '@functools.lru_cache(maxsize=None)\ndef fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)',
      '@cache\ndef one(): return 1\ndef uses(n): return fib(n)\nheld = functools.partial(one)'
    ],
    ask: ['fib', 'uses', 'held'],
    then: '[fib(20), uses(10), held()]',
    result: [6765, 55, 1],
    travels: ['functools', 'fib', 'uses', 'cache', 'one', 'held']
  },
  {
    title: 'functions travel under several decorators that say what they wrap',
    cells: [
      `import contextlib, functools
def shout(word):
    def over(g):
        @functools.wraps(g)
        def run(*args): return word + g(*args)
        return run
    return over`,
      `@shout("a")
@shout("b")
def name(x): return x
@contextlib.contextmanager
def inside():
    yield "in"`,
      'def both():\n    with inside() as where: return name(where)'
    ],
    ask: ['both'],
    then: 'both()',
    result: 'abin',
    travels: ['contextlib', 'inside', 'functools', 'shout', 'name', 'both']
  },
  {
    title: 'lambdas travel that have a name, on one line or on several, with others beside',
    cells: [
      'rate = 2\nother = 5; lam = lambda x, k=3: x * rate + k; more = lambda: 1',
      'long = (\n    lambda x:\n        lam(x) + more()\n)'
    ],
    ask: ['long'],
    then: 'long(4)',
    result: 12,
    travels: ['rate', 'lam', 'more', 'long']
  },
  {
    title: 'functions travel from inside an if, and asynchronous ones',
    cells: [
      'if True:\n    async def wait(x):\n        return x\n    def f(x):\n        text = """a\n        b"""\n        return len(text) + x'
    ],
    ask: ['wait', 'f'],
    then: '[f(1), type(wait(1)).__name__]',
    travels: ['wait', 'f']
  },
  {
    title: 'a definition stays whose source would not make it again',
    cells: [
      `import functools
def plain(x): return x
def old(x): return 1
alias = plain
later = functools.cache(plain)
def same(x): return x
same = functools.cache(same)
@functools.singledispatch
def pick(x): return "any"
@pick.register
def _(x: int): return "int"
def made(n):
    def inner(x): return x + n
    def default(x, k=n): return x + k
    return inner, default
inner, default = made(2)
bag = {"f": later}
class Again: pass
class Again(Again): pass
class Tree: pass
tree = [Tree()]
del Tree`
    ],
    ask: ['alias', 'later', 'same', 'pick', 'inner', 'default', 'bag', 'Again', 'tree'],
    then: '1',
    travels: [
      /^alias: It isn’t defined under this name/,
      /^later: It isn’t defined under this name/,
      /^same: It was wrapped after it was defined/,
      /^pick: Other functions were registered with it after it was defined/,
      /^inner: It is a function inside a function, and keeps values of that/,
      /^default: It is a function inside a function, and keeps values of that/,
      /^bag: /,
      /^Again: It is made from what had its name before/,
      /^tree: /
    ]
  },
  {
    title: 'a class comes before those made of it, though it names them, and so do they before theirs',
    cells: [
      `class Base:
    def make(self): return Grandchild(), child, marked
class Child(Base): pass
class Grandchild(Child): pass
child = Child()
def mark(kind): return kind
@mark
def marked(x: Grandchild): return x`
    ],
    ask: ['Base'],
    then: '[type(x).__name__ for x in Base().make()]',
    result: ['Grandchild', 'Child', 'function'],
    travels: ['mark', 'Base', 'Child', 'Grandchild', 'child', 'marked']
  },
  {
    title: 'a copy travels only with the classes that it is made of',
    cells: [
      'import enum\nColor = enum.Enum("Color", "RED")\nclass Node:\n    def __init__(self): self.value = 4\nnode, red = Node(), Color.RED'
    ],
    ask: ['node', 'red'],
    then: 'node.value',
    result: 4,
    travels: ['Node', 'node', /^Color: Its source isn’t known/, /^red: It is made of Color, which can’t travel/]
  },
  {
    title: 'copies of plain objects are for any Python: data classes, counters, paths',
    cells: [
      `import collections, pathlib, dataclasses, datetime, re
@dataclasses.dataclass
class Run:
    n: int
run = Run(3)
count = collections.Counter("aab")
groups = collections.defaultdict(list, a=[1])
where = [pathlib.Path("a/b"), re.compile("x+")]`
    ],
    ask: ['run', 'count', 'groups', 'where'],
    then: '[run.n, count["a"], groups["a"], groups["b"], str(where[0].parent), where[1].pattern]',
    result: [3, 2, [1], [], 'a', 'x+'],
    travels: ['dataclasses', 'Run', 'run', 'count', 'groups', 'where']
  }
]

type Row = [name: string, codec: string | null, python: string | null, reason: string | null]

describe('values that leave the user’s kernel', function () {
  // Python and IPython start once; on a busy machine that takes a while.
  this.timeout(120_000)
  let found: { broken?: string; rows: Row[]; result: unknown }[]

  before(async () => {
    const python = process.env['PEKKA_TEST_PYTHON'] ?? 'python3'
    const program = join(import.meta.dirname, 'leaving-values.py')
    const runner = join(ROOT, 'sandbox-images/runner')
    const { promise, resolve: done, reject } = Promise.withResolvers<string>()
    const child = execFile(python, [program, runner, join(ROOT, 'extension/kernel')], (error, stdout) =>
      error === null ? done(stdout) : reject(error)
    )
    child.stdin?.end(JSON.stringify(CASES))
    found = JSON.parse(await promise) as typeof found // our own script's
  })

  for (const [index, { title, travels, result }] of CASES.entries())
    it(title, () => {
      const { broken, rows, result: there } = found[index] ?? { broken: 'absent', rows: [], result: null }
      assert.equal(broken, undefined)
      const told = rows.map(([name, codec, , reason]) => (codec === null ? `${name}: ${reason}` : name))
      for (const [at, wanted] of travels.entries())
        if (typeof wanted === 'string') assert.equal(told[at], wanted, told.join(', '))
        else assert.match(told[at] ?? '', wanted, told.join(', '))
      assert.equal(told.length, travels.length, told.join(', '))
      if (result !== undefined) assert.deepEqual(there, result)
      // Whatever Python this is: nothing of it is code of that Python.
      assert.deepEqual(new Set(rows.map(([, , python]) => python)), new Set([null]))
    })
})
