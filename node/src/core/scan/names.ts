import type { SyntaxNode } from '@lezer/common'
import { CHANGING_METHODS, IPYTHON_HISTORY, IPYTHON_NAMES, PYTHON_BUILTINS, SHOWING_METHODS } from './constants.js'
import { FactFinder } from './facts.js'
import type { CellFacts } from './facts.js'
import type { PlainPython } from './magics.js'
import type { Sink } from './sink.js'
import { Walker } from './walker.js'

/** A name and the first line (from 1) where it stands. */
export interface NameAt {
  name: string
  line: number
}

export interface ImportAt extends NameAt {
  /** The whole dotted module; `name` is its first part, or '.' for a relative import. */
  module: string
}

export interface ChangeAt extends NameAt {
  /** `call` is a guess: the method's name says that it changes its object. */
  how: 'assignment' | 'call'
}

/** What one cell needs, makes and touches. Every list holds a name once, with the first line where it counts. */
export interface CellNames extends CellFacts {
  /** Names that the cell reads when it runs and hasn't defined by then. */
  reads: NameAt[]
  /** Names that its functions read when somebody calls them; they may be defined later, before the call. */
  lateReads: NameAt[]
  /** Names that the cell leaves defined. */
  defines: NameAt[]
  /** Names that the cell had and leaves deleted. */
  deletes: NameAt[]
  /** Names among `defines` that an import bound: their methods are functions and change nothing. */
  modules: string[]
  /** Names of objects that the cell changes without rebinding them (`df['x'] = …`, `model.fit(X)`). */
  changes: ChangeAt[]
  /** The same of Python's own names (`sum`, `input`), which count where something gives them another meaning. */
  builtins: Pick<CellNames, 'reads' | 'lateReads' | 'changes'>
  imports: ImportAt[]
  /** True where `from x import *` or `%pylab` defines names that only Python itself could list. */
  star: boolean
  /** True for cells that aren't Python (`%%bash`, `%%html`). */
  foreign: boolean
}

interface Scope {
  kind: 'function' | 'class' | 'comprehension'
  bound: Set<string>
  outer: Map<string, 'global' | 'nonlocal'>
  /** Globals that the function has bound by now. */
  globals?: Set<string>
}

/** What every kernel has, whatever cells define. */
const known = (name: string): boolean => IPYTHON_NAMES.has(name) || IPYTHON_HISTORY.test(name) || /^__\w+__$/.test(name)

const noop = (): void => undefined

/** Collects what a function binds anywhere in its body, which makes those names local from its first line on. */
function localsOf(text: string, body: SyntaxNode[]): Pick<Scope, 'bound' | 'outer'> {
  const bound = new Set<string>()
  const outer: Scope['outer'] = new Map()
  const walker = new Walker(text, {
    read: noop,
    bind: name => bound.add(name),
    remove: name => bound.add(name),
    change: noop,
    scope: (kind, name) => outer.set(name, kind),
    imports: noop,
    call: noop,
    statement: noop,
    member: noop,
    function: noop,
    classBody: noop,
    comprehension: inner => inner(noop),
    guarded: inner => inner()
  })
  body.forEach(walker.visit)
  for (const name of outer.keys()) bound.delete(name)
  return { bound, outer }
}

/** The order-aware analysis of one cell. */
export class NameFinder implements Sink {
  private readonly walker: Walker
  private readonly facts: FactFinder
  private readonly scopes: Scope[] = []
  private readonly defined = new Map<string, number>()
  private readonly reads = new Map<string, number>()
  private readonly late = new Map<string, number>()
  private readonly lateDefines = new Map<string, number>()
  /** Globals that a function reads before it binds them: a definition within functions is not enough for those. */
  private readonly lateGlobals = new Set<string>()
  private readonly deleted = new Map<string, number>()
  private readonly changed = new Map<string, ChangeAt>()
  private readonly modules = new Set<string>()
  private readonly importList: ImportAt[] = []
  private star: boolean
  private guards = 0

  constructor(
    text: string,
    private readonly plain: PlainPython,
    private readonly lineOf: (offset: number) => number
  ) {
    this.walker = new Walker(text, this)
    this.facts = new FactFinder(text, lineOf)
    this.star = plain.star
    for (const { name, line } of plain.defines) this.defined.set(name, line)
  }

  visit(top: SyntaxNode): void {
    this.walker.visit(top)
  }

  read(name: string, node: SyntaxNode): void {
    this.readAt(name, this.lineOf(node.from))
  }

  private readAt(name: string, line: number): void {
    if (this.guards > 0) return
    let inFunction = false
    for (let i = this.scopes.length - 1; i >= 0; i -= 1) {
      const scope = this.scopes[i]
      if (scope === undefined) break
      if (scope.outer.get(name) === 'global') {
        if (scope.globals?.has(name) === true) return
        if (!this.defined.has(name) || this.lateDefines.has(name)) this.lateGlobals.add(name)
        inFunction = true
        break
      }
      // A class body's names are seen by the class body alone, not by its methods.
      if (!(scope.kind === 'class' && inFunction) && scope.bound.has(name)) return
      if (scope.kind === 'function') inFunction = true
    }
    if (known(name) && !this.defined.has(name)) return
    if (inFunction || this.scopes.some(scope => scope.kind === 'function')) first(this.late, name, line)
    else if (!this.defined.has(name)) first(this.reads, name, line)
  }

  bind(name: string, node: SyntaxNode, how: 'assign' | 'import'): void {
    this.facts.addresses.bound(name, node)
    const line = this.lineOf(node.from)
    for (let i = this.scopes.length - 1; i >= 0; i -= 1) {
      const scope = this.scopes[i]
      // A walrus in a comprehension binds in the scope around it.
      if (scope === undefined || scope.kind === 'comprehension') continue
      if (scope.outer.get(name) === 'global') {
        if (!this.defined.has(name)) first(this.lateDefines, name, line)
        scope.globals ??= new Set()
        scope.globals.add(name)
        this.defined.set(name, this.defined.get(name) ?? line)
        return
      }
      scope.bound.add(name)
      return
    }
    first(this.defined, name, line)
    // A definition of the cell's own: a function that is called after it finds the name.
    this.lateGlobals.delete(name)
    this.lateDefines.delete(name)
    this.deleted.delete(name)
    if (how === 'import') this.modules.add(name)
    else this.modules.delete(name)
  }

  remove(name: string, node: SyntaxNode): void {
    this.read(name, node)
    if (this.scopes.some(scope => scope.kind !== 'comprehension')) return
    this.defined.delete(name)
    this.deleted.set(name, this.lineOf(node.from))
  }

  change(name: string, node: SyntaxNode): void {
    this.facts.assigned(node)
    this.changedBy(name, node, 'assignment')
  }

  private changedBy(name: string, node: SyntaxNode, how: ChangeAt['how']): void {
    if (this.scopes.some(scope => scope.bound.has(name))) return
    const known = this.changed.get(name)
    if (known?.how !== 'assignment' && known?.how !== how) {
      this.changed.set(name, { name, line: this.lineOf(node.from), how })
    }
  }

  scope(kind: 'global' | 'nonlocal', name: string): void {
    this.scopes.at(-1)?.outer.set(name, kind)
  }

  imports(module: string, star: boolean, node: SyntaxNode): void {
    if (star && this.scopes.length === 0) this.star = true
    const name = module.startsWith('.') ? '.' : (module.split('.')[0] ?? '')
    if (name === '' || this.importList.some(known => known.module === module)) return
    this.importList.push({ name, module, line: this.lineOf(node.from) })
  }

  call(node: SyntaxNode): void {
    this.facts.call(node)
    const callee = node.firstChild
    if (callee === null || callee.name !== 'MemberExpression') return
    const method = callee.lastChild
    if (method === null || !CHANGING_METHODS.has(this.walker.textOf(method))) return
    this.touch(callee)
  }

  statement(node: SyntaxNode): void {
    let call = node.firstChild
    if (call?.name === 'AwaitExpression') call = call.lastChild
    if (call === null || call.name !== 'CallExpression') return
    const callee = call.firstChild
    const method = callee?.lastChild
    if (callee?.name !== 'MemberExpression' || method === null || method === undefined) return
    if (!SHOWING_METHODS.has(this.walker.textOf(method))) this.touch(callee)
  }

  private touch(callee: SyntaxNode): void {
    const root = this.walker.rootOf(callee)
    if (root === null) return
    const name = this.walker.textOf(root)
    if (!this.modules.has(name) && !known(name)) this.changedBy(name, callee, 'call')
  }

  member(node: SyntaxNode): void {
    this.facts.member(node)
  }

  function(parameters: string[], body: SyntaxNode[], walk: (node: SyntaxNode) => void): void {
    const locals = localsOf(this.plain.code, body)
    for (const name of parameters) locals.bound.add(name)
    const walkBody = (): void => this.facts.addresses.within(locals.bound, () => body.forEach(walk))
    this.within({ kind: 'function', ...locals }, walkBody)
  }

  classBody(parameters: string[], body: SyntaxNode[], walk: (node: SyntaxNode) => void): void {
    this.within({ kind: 'class', bound: new Set(parameters), outer: new Map() }, () => body.forEach(walk))
  }

  comprehension(inner: (bindLocal: (name: string) => void) => void): void {
    const bound = new Set<string>()
    this.within({ kind: 'comprehension', bound, outer: new Map() }, () => inner(name => bound.add(name)))
  }

  guarded(body: () => void): void {
    this.guards += 1
    body()
    this.guards -= 1
  }

  private within(scope: Scope, body: () => void): void {
    this.scopes.push(scope)
    body()
    this.scopes.pop()
  }

  finish(): CellNames {
    for (const { name, line } of this.plain.reads) this.readAt(name, line)
    for (const [name, line] of this.lateDefines) first(this.defined, name, line)
    for (const name of this.defined.keys()) if (!this.lateGlobals.has(name)) this.late.delete(name)
    for (const name of this.reads.keys()) this.late.delete(name)
    const [reads, builtinReads] = apart(list(this.reads), isBuiltin)
    const [lateReads, lateBuiltins] = apart(list(this.late), isBuiltin)
    // `list.sort(x)` changes no list of that name, `sum[0] = 1` does.
    const [changes, builtinChanges] = apart([...this.changed.values()], one => one.how === 'call' && isBuiltin(one))
    return {
      reads,
      lateReads,
      defines: list(this.defined),
      deletes: list(this.deleted),
      modules: [...this.modules].filter(name => this.defined.has(name)),
      changes,
      builtins: { reads: builtinReads, lateReads: lateBuiltins, changes: builtinChanges },
      imports: this.importList,
      star: this.star,
      foreign: false,
      ...this.facts.finish(this.plain)
    }
  }
}

function first(map: Map<string, number>, name: string, line: number): void {
  if (!map.has(name)) map.set(name, line)
}

const list = (map: Map<string, number>): NameAt[] => [...map].map(([name, line]) => ({ name, line }))

const isBuiltin = ({ name }: NameAt): boolean => PYTHON_BUILTINS.has(name)

/** Those that a test doesn't take, and those that it takes. */
function apart<T>(all: readonly T[], test: (one: T) => boolean): [others: T[], taken: T[]] {
  return [all.filter(one => !test(one)), all.filter(test)]
}
