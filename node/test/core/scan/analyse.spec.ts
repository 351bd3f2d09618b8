import assert from 'node:assert/strict'
import fc from 'fast-check'
import { analyse, isFileName, plainPython } from '@pekka/node/scan'
import { tries } from '../../support/effort.js'

const sorted = (list: { name: string }[]): string =>
  list
    .map(({ name }) => name)
    .sort()
    .join(' ')

/** Source, names read at once, names defined, names read by functions later. */
const CASES: [what: string, source: string, reads: string, defines: string, late?: string][] = [
  ['reads before a definition on the same line', 'df = df.assign(v=w)', 'df w', 'df'],
  ['a definition before its use', 'a = 1\nb = a', '', 'a b'],
  ['augmented assignment', 'total += x', 'total x', 'total'],
  ['several targets', 'a, (b, *c) = d = e', 'e', 'a b c d'],
  ['attribute and item targets', 'a.b = c\nd[e] = f', 'a c d e f', ''],
  ['annotations', 'x: int\ny: List = z', 'List z', 'y'],
  ['deletion', 'a = 1\ndel a\na', 'a', ''],
  ['deletion of an item', 'del a[b], c.d', 'a b c', ''],
  ['imports', 'import numpy as np, os.path\nfrom a.b import c as d, e\nfrom . import f', '', 'd e f np os'],
  ['functions', 'def f(p, q=r, *s, t: u = v, **w) -> x:\n  y = p + z\n  return y + f(s)', 'r u v x', 'f', 'z'],
  ['a local name that is bound after its use', 'def f():\n  print(a)\n  a = 1', '', 'f'],
  ['globals', 'def f():\n  global g\n  g = g + h', '', 'f g', 'g h'],
  ['nonlocal', 'def f():\n  n = 1\n  def g():\n    nonlocal n\n    n += m\n  return g', '', 'f', 'm'],
  ['nested functions', 'def f(a):\n  def g(): return a + b\n  return g', '', 'f', 'b'],
  ['a function that is defined after its caller', 'def f(): return g()\ndef g(): return 1', '', 'f g'],
  ['lambdas', 'f = lambda a, b=c: a + b + d', 'c', 'f', 'd'],
  ['decorators and bases', '@dec(a)\nclass A(B, metaclass=C):\n  x: T = 1\n  y = x', 'B C T a dec', 'A'],
  ['methods do not see class names', 'class A:\n  x = 1\n  def m(self): return x', '', 'A', 'x'],
  ['type parameters', 'def f[T](a: T) -> T: return a\nclass A[U](B[U]): pass\ntype X = int', 'B', 'A X f'],
  ['comprehensions', '[x for x in y if x and z for w in x]', 'y z', ''],
  ['dictionary comprehensions', '{k: v for k, v in d}', 'd', ''],
  ['generators as arguments', 'sum(x for x in y)', 'y', ''],
  ['a comprehension that reads its own name first', '[x for x in x]', 'x', ''],
  ['a walrus in a comprehension', '[y := f(x) for x in z]\ny', 'f z', 'y'],
  ['walrus', 'if (n := len(a)) > 1: n\ng(m := b)', 'a b g', 'm n'],
  ['f-strings', "f'{a!r:>{w}} {b=} {{c}}' 'x' f\"{d['k']}\"", 'a b d w', ''],
  ['with', 'with open(p) as f, g() as h: f, h', 'g p', 'f h'],
  ['with and a tuple', 'with a as (b, c):\n  b', 'a', 'b c'],
  ['with in brackets', 'with (a() as b, c() as d):\n  b, d', 'a c', 'b d'],
  ['for and else', 'for i, (j, k) in l:\n  i\nelse:\n  m\nk', 'l m', 'i j k'],
  ['async', 'async def f():\n  async for a in b: await a\nawait f()', '', 'f', 'b'],
  ['try', 'try:\n  a\nexcept (E, F) as e:\n  e\nfinally:\n  b', 'E F a b', 'e'],
  ['a name whose absence is caught', 'try:\n  df\nexcept NameError:\n  df = 1', '', 'df'],
  [
    'match',
    'match p:\n  case {"a": x, **rest} if y: pass\n  case [q, *r] | Point(z=1, k=kk): pass\n  case mod.C as w: pass\n  case _: pass',
    'Point mod p y',
    'kk q r rest w x'
  ],
  ['soft keywords as names', 'match = 1\ntype = 2\ncase = 3\nprint(match, type, case)', '', 'case match type'],
  ['keyword arguments', 'f(a=b, *c, **d)', 'b c d f', ''],
  ['a shadowed builtin', 'list = [1]\nlist', '', 'list'],
  ['builtins and IPython names', 'print(len(In), Out[1], _, _3, _i3, __name__); display(get_ipython())', '', ''],
  ['slices and conditions', 'a[b:c] if d else not e', 'a b c d e', ''],
  ['yield, raise, assert', 'assert a, b\nraise C from d', 'C a b d', ''],
  ['line magics', '%matplotlib inline\n%load_ext x\na', 'a', ''],
  ['timed statements', '%time y = z + 1\n%timeit -n 10 f(y)', 'f z', 'y'],
  ['shell commands', '!ls {folder}/x\nx = !pwd\ny = %sql select 1', 'folder', 'x y'],
  ['shell commands over lines', '!echo a \\\n  b c\nd', 'd', ''],
  ['help', 'foo?\n?bar\nfoo.baz??', '', ''],
  ['an indented magic', 'if a:\n    %time b = c\nelse:\n    !ls', 'a c', 'b'],
  ['a percent sign that is no magic', 'x = (a\n  % b)\ny = """\n%no\n!no\n"""', 'a b', 'x y'],
  ['timed cells', '%%time\na = b', 'b', 'a'],
  ['captured cells', '%%capture out --no-stderr\na = b', 'b', 'a out'],
  ['cells in another language', '%%bash\necho $x\nfor i in a; do :; done', '', ''],
  ['stored values', '%store -r a b', '', 'a b'],
  ['an unfinished cell', 'a = (b +\nc = ', 'b c', 'a']
]

describe('scan: what a cell reads and defines', () => {
  for (const [what, source, reads, defines, late = ''] of CASES) {
    it(what, () => {
      const names = analyse(source)
      assert.deepEqual(
        { reads: sorted(names.reads), defines: sorted(names.defines), late: sorted(names.lateReads) },
        { reads, defines, late }
      )
    })
  }

  it('gives the line of the first use', () => {
    assert.deepEqual(analyse('\n%time 1\n# x\nprint(\n  a)\na').reads, [{ name: 'a', line: 5 }])
  })

  it('knows star imports, modules and top-level imports', () => {
    const names = analyse('from numpy import *\nimport a.b.c, d\nfrom .e import f')
    assert.equal(names.star, true)
    assert.deepEqual(
      names.imports.map(({ name }) => name),
      ['numpy', 'a', 'd', '.']
    )
    assert.deepEqual(names.modules, ['a', 'd', 'f'])
    assert.equal(analyse('%pylab inline').star, true)
  })

  it('tells changes of an object from reads of it', () => {
    const changes = analyse(
      "df['x'] = 1\nmodel.fit(X)\nh = net.fit(X)\nlog.append(1)\ndf2.head()\nprint(x.mean())"
    ).changes
    assert.deepEqual(
      changes.map(({ name, how }) => `${name} ${how}`),
      ['df assignment', 'model call', 'net call', 'log call']
    )
  })
})

describe('scan: files, environment and input', () => {
  const paths = (source: string): string[] => analyse(source).paths.map(({ path }) => path)

  it('finds literal local files that are read', () => {
    assert.deepEqual(paths("pd.read_csv('a.csv'); open(r'b\\c.txt').read(); np.load(file='d.npy')"), [
      'a.csv',
      'b\\c.txt',
      'd.npy'
    ])
    assert.deepEqual(paths("Path('e').read_text(); pd.read_csv(Path('f') / 'g.csv')"), ['e', 'f/g.csv'])
    assert.deepEqual(paths("def f():\n  return Image.open('/home/ada/h.png')"), ['/home/ada/h.png'])
  })

  it('tells a file from a folder, a pattern and a name that only a library knows', () => {
    for (const path of ['a.csv', 'data/b.tar.gz', '../up.h5', '/abs/c.npy', 'b\\c.txt'])
      assert.ok(isFileName(path), path)
    for (const path of ['en_core_web_sm', 'data', 'runs.v2/', '*.csv', 'a?.csv', 'a[12].csv', '..', '.env', ''])
      assert.ok(!isFileName(path), path)
  })

  it('leaves out what is written, remote, computed or part of any machine', () => {
    assert.deepEqual(paths("open('a', 'w'); open('b', mode='ab'); open('a'); Path('c').write_text(''); open('c')"), [])
    assert.deepEqual(
      paths("pd.read_csv('https://x.org/a.csv'); open(f'{x}.csv'); open(name); open('/proc/cpuinfo')"),
      []
    )
    assert.deepEqual(paths("pd.read_html('<table></table>'); json.load(f); df.to_csv('a.csv'); print('a.csv')"), [])
  })

  it('remembers files that a cell makes', () => {
    assert.deepEqual(analyse('%%writefile model.py\nx = 1').writes, ['model.py'])
  })

  it('finds environment variables that are read before they are set', () => {
    const names = analyse("os.environ['A']; os.environ.get('B'); os.getenv('C'); environ['D']").environment
    assert.equal(sorted(names), 'A B C D')
    assert.deepEqual(analyse("os.environ['A'] = '1'\nos.environ['A']\nos.environ[name]").environment, [])
  })

  it('finds input()', () => {
    assert.deepEqual(analyse('x = 1\ny = input("name? ")\nself.input()').input, [2])
  })
})

describe('scan: robustness', () => {
  const pieces = fc.constantFrom(
    ...[
      'def f(',
      ')',
      ':',
      '\n',
      '  ',
      'a',
      'b',
      ' = ',
      'for ',
      ' in ',
      'lambda ',
      '[',
      ']',
      '{',
      '}',
      '"',
      "'''",
      'f"{'
    ],
    ...[
      '%%time',
      '%',
      '!',
      '?',
      'with ',
      ' as ',
      'match ',
      'case ',
      'del ',
      'global ',
      '*',
      '**',
      '@',
      'class ',
      ':=',
      '\\'
    ],
    ...['import ', 'from ', '.', ',', 'async ', 'await ', '\u0000', 'é', '😀', '#']
  )

  it('never throws on rubbish and keeps line numbers inside the source', () => {
    fc.assert(
      fc.property(
        fc.array(pieces, { maxLength: 60 }).map(parts => parts.join('')),
        source => {
          const names = analyse(source)
          const lines = source.split('\n').length
          for (const { line } of [...names.reads, ...names.defines, ...names.lateReads, ...names.paths]) {
            assert.ok(line >= 1 && line <= lines, `line ${line} of ${lines}`)
          }
          assert.equal(plainPython(source).code.split('\n').length, lines)
        }
      ),
      { numRuns: tries(500, 2000) }
    )
    fc.assert(
      fc.property(fc.string({ maxLength: 300, unit: 'binary' }), source => void analyse(source)),
      { numRuns: tries(150, 500) }
    )
  })

  it('survives nesting that exhausts the stack', () => {
    assert.deepEqual(analyse(`x = 1\ny = ${'('.repeat(50_000)}`).defines[0], { name: 'x', line: 1 })
  })
})
