import type { SyntaxNode } from '@lezer/common'
import { parser } from '@lezer/python'
import { MAX_SOURCE_CHARS } from './constants.js'
import { plainPython } from './magics.js'
import { lineFinder } from './lines.js'
import { parseInstall, scriptRequirements, type Requirement } from './requirements.js'
import { IMAGE_PYTHON } from './syntax.js'
import { IPYTHON_EXTENSIONS } from './stdlib.js'
import { childrenOf } from './sink.js'

/** A module that code imports. */
export interface ModuleUse {
  /** First part of the dotted name. */
  name: string
  /** The dotted names under it that are imported, longest known: `google.cloud.storage` for `from google.cloud import storage`. */
  modules: string[]
  /** First line (from 1) in `source`. */
  line: number
  /** Id of the cell, or the file. */
  source: string
  /** The code goes on without it: it stands in a `try` that catches ImportError, or is asked for by `find_spec`. */
  optional: boolean
  /** Where it is optional: names that are imported in its place. */
  alternatives: string[]
}

/** What a set of sources imports and asks for. */
export interface ImportScan {
  modules: ModuleUse[]
  /** `%pip install x`, `!pip install x`, PEP 723 blocks. */
  requirements: Requirement[]
  /** A PEP 723 block asks for something else than named packages: `checkScripts` says what. */
  refused: boolean
  /** `requires-python` of a PEP 723 block. */
  requiresPython: string | undefined
}

export interface NamedSource {
  id: string
  source: string
}

/** Handlers of these go on without a module that isn't there. */
const CATCHES_IMPORT = /\b(ImportError|ModuleNotFoundError|Exception|BaseException)\b/
/** A handler that ends the program or raises again needs the module after all. */
const GIVES_UP = new Set(['RaiseStatement'])
const EXITS = /^(sys\.exit|exit|quit|os\._exit)$/
/** Conditions under which nothing runs in a sandbox: type checkers, other systems. */
const NEVER_HERE =
  /^(typing\.)?TYPE_CHECKING$|sys\.platform\s*(==|\.startswith\()\s*['"](win|darwin|cygwin|emscripten)|os\.name\s*==\s*['"]nt['"]|platform\.system\(\)\s*==\s*['"](Windows|Darwin)['"]/

interface Context {
  optional: boolean
  alternatives: string[]
}

/** Finds imports in one source. Tolerates syntax errors; never runs anything. */
class ImportFinder {
  readonly uses: Omit<ModuleUse, 'source'>[] = []

  constructor(
    private readonly text: string,
    private readonly lineOf: (offset: number) => number
  ) {}

  private textOf(node: SyntaxNode | null | undefined): string {
    return node === null || node === undefined ? '' : this.text.slice(node.from, node.to)
  }

  visit(node: SyntaxNode, context: Context): void {
    switch (node.name) {
      case 'ImportStatement':
        return this.importing(node, context)
      case 'TryStatement':
        return this.trying(node, context)
      case 'IfStatement':
        return this.condition(node, context)
      case 'WithStatement':
        return this.within(node, context)
      case 'CallExpression':
        this.call(node, context)
        return this.each(childrenOf(node), context)
      case 'String':
      case 'Comment':
        return
      default:
        return this.each(childrenOf(node), context)
    }
  }

  private each(nodes: SyntaxNode[], context: Context): void {
    for (const node of nodes) this.visit(node, context)
  }

  /** Also for what magics ask for. */
  add(module: string, names: string[], at: number, { optional, alternatives }: Context): void {
    const [name = ''] = module.split('.')
    if (!/^[\p{L}_][\p{L}\p{N}_]*$/u.test(name)) return
    const modules = names.length === 0 ? [module] : names.map(child => `${module}.${child}`)
    this.uses.push({ name, modules, line: at, optional, alternatives })
  }

  private importing(node: SyntaxNode, context: Context): void {
    const children = childrenOf(node)
    const line = this.lineOf(node.from)
    if (children[0]?.name === 'from') {
      const at = children.findIndex(child => child.name === 'import')
      if (at < 0) return
      const module = children.slice(1, at).map(child => this.textOf(child)).join('') // prettier-ignore
      if (module.startsWith('.') || module === '') return
      const names = children
        .slice(at + 1)
        .filter((child, index, all) => child.name === 'VariableName' && all[index - 1]?.name !== 'as')
        .map(child => this.textOf(child))
      return this.add(module, names, line, context)
    }
    let dotted = ''
    let alias = false
    for (const child of [...children.slice(1), undefined]) {
      if (child === undefined || child.name === ',') {
        if (dotted !== '') this.add(dotted, [], line, context)
        dotted = ''
        alias = false
      } else if (child.name === 'as') alias = true
      else if (!alias && (child.name === 'VariableName' || child.name === '.')) dotted += this.textOf(child)
    }
  }

  private trying(node: SyntaxNode, context: Context): void {
    const children = childrenOf(node)
    const firstHandler = children.findIndex(child => child.name === 'except')
    const body = children.findIndex(child => child.name === 'Body')
    const handlers: { words: string; body: SyntaxNode | undefined }[] = []
    children.forEach((child, index) => {
      if (child.name !== 'except') return
      const rest = children.slice(index + 1)
      const end = rest.findIndex(part => part.name === 'Body')
      const words = rest
        .slice(0, Math.max(end, 0))
        .map(part => this.textOf(part))
        .join(' ')
      handlers.push({ words, body: rest[end] })
    })
    const catching = handlers.filter(({ words }) => words === '' || CATCHES_IMPORT.test(words))
    const goesOn = catching.filter(handler => handler.body !== undefined && !this.givesUp(handler.body))
    const tried = children[body]
    if (tried === undefined || firstHandler < 0 || goesOn.length === 0) return this.each(children, context)
    const before = this.uses.length
    // What the handlers import stands in for what was tried.
    for (const { body: handler } of goesOn) if (handler) this.visit(handler, { optional: true, alternatives: [] })
    const instead = this.uses.slice(before).map(({ name }) => name)
    const afterHandlers = this.uses.length
    this.visit(tried, { optional: true, alternatives: [...context.alternatives, ...instead] })
    const attempted = [...new Set(this.uses.slice(afterHandlers).map(({ name }) => name))]
    for (let i = before; i < afterHandlers; i += 1) {
      const use = this.uses[i]
      if (use) this.uses[i] = { ...use, alternatives: [...use.alternatives, ...attempted] }
    }
    const handled = new Set(goesOn.map(handler => handler.body?.from))
    this.each(
      children.filter((child, index) => index !== body && !handled.has(child.from)),
      context
    )
  }

  private givesUp(body: SyntaxNode): boolean {
    let found = false
    const look = (node: SyntaxNode): void => {
      if (found || node.name === 'FunctionDefinition' || node.name === 'LambdaExpression') return
      if (node.name === 'ClassDefinition' || node.name === 'TryStatement' || node.name === 'IfStatement') return
      if (GIVES_UP.has(node.name)) found = true
      else if (node.name === 'CallExpression' && EXITS.test(this.textOf(node.firstChild))) found = true
      else childrenOf(node).forEach(look)
    }
    look(body)
    return found
  }

  private condition(node: SyntaxNode, context: Context): void {
    const children = childrenOf(node)
    let decided = false
    for (let i = 0; i < children.length; i += 1) {
      const child = children[i]
      if (child === undefined) continue
      if (child.name === 'if' || child.name === 'elif') {
        const test = children[i + 1]
        const verdict = test === undefined ? undefined : this.verdict(this.textOf(test))
        const body = children.slice(i + 1).find(part => part.name === 'Body')
        if (test !== undefined) this.visit(test, context)
        if (body !== undefined && verdict !== false && !decided) this.visit(body, context)
        if (verdict === true) decided = true
      } else if (child.name === 'else') {
        const body = children[i + 1]?.name === 'Body' ? children[i + 1] : children[i + 2]
        if (body !== undefined && !decided) this.visit(body, context)
      }
    }
  }

  /** What a condition is in a sandbox, where that is plain: systems, type checkers, Python's version. */
  private verdict(test: string): boolean | undefined {
    const plain = test.replace(/^\((.*)\)$/s, '$1').trim()
    if (plain === 'False' || plain === '0' || NEVER_HERE.test(plain))
      return /\b(or|not)\b/.test(plain) ? undefined : false
    const version = /^(?:sys\.)?version_info(?:\[:2\])?\s*(>=|<=|>|<)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?,?\s*\)$/.exec(
      plain
    )
    if (version === null) return undefined
    const [, operator = '', major = '0', minor = '0'] = version
    const [ourMajor = 3, ourMinor = 11] = IMAGE_PYTHON
    const wanted = Number(major) * 1000 + Number(minor)
    const ours = ourMajor * 1000 + ourMinor
    // `version_info > (3, 11)` is true of 3.11.7.
    return operator.startsWith('>') ? ours >= wanted : ours < wanted
  }

  private within(node: SyntaxNode, context: Context): void {
    const suppressed = childrenOf(node).some(
      child =>
        child.name === 'CallExpression' &&
        /(^|\.)suppress$/.test(this.textOf(child.firstChild)) &&
        CATCHES_IMPORT.test(this.textOf(child.getChild('ArgList')))
    )
    this.each(childrenOf(node), suppressed ? { ...context, optional: true } : context)
  }

  private call(node: SyntaxNode, context: Context): void {
    const callee = this.textOf(node.firstChild)
    const loads = /(^|\.)(import_module|__import__|importorskip|lazy_import)$/.test(callee)
    const asks = /(^|\.)find_spec$/.test(callee)
    if (!loads && !asks) return
    const list = node.getChild('ArgList')
    const first = list === null ? undefined : childrenOf(list)[1]
    const literal = first?.name === 'String' ? /^[rRuU]?(['"])([\w.]+)\1$/.exec(this.textOf(first))?.[2] : undefined
    if (literal === undefined || literal.startsWith('.')) return
    const optional = asks || callee.endsWith('importorskip')
    this.add(literal, [], this.lineOf(node.from), optional ? { ...context, optional: true } : context)
  }
}

const PLAIN: Context = { optional: false, alternatives: [] }

/** Imports and declared packages of some cells, or of a script and the modules beside it. Never throws. */
export function importScan(sources: readonly NamedSource[]): ImportScan {
  const modules = new Map<string, ModuleUse>()
  const requirements: Requirement[] = []
  let requiresPython: string | undefined
  let refused = false
  for (const { id, source } of sources) {
    if (source.length > MAX_SOURCE_CHARS) continue
    const plain = plainPython(source)
    const finder = new ImportFinder(plain.code, lineFinder(plain.code))
    try {
      finder.visit(parser.parse(plain.code).topNode, PLAIN)
    } catch (error) {
      // Thousands of nested brackets exhaust the stack; what was found until then is still true.
      if (!(error instanceof RangeError)) throw error
    }
    for (const { text, line } of plain.extensions) if (!IPYTHON_EXTENSIONS.has(text)) finder.add(text, [], line, PLAIN)
    for (const { text, line } of plain.installs) {
      requirements.push(...parseInstall(text).map(requirement => ({ ...requirement, line, source: id })))
    }
    const script = scriptRequirements(source)
    requiresPython ??= script?.requiresPython
    refused ||= script?.refused !== undefined
    requirements.push(...(script?.requirements ?? []).map(requirement => ({ ...requirement, source: id })))
    for (const use of finder.uses.sort((a, b) => a.line - b.line)) merge(modules, { ...use, source: id })
  }
  return { modules: [...modules.values()], requirements, requiresPython, refused }
}

function merge(modules: Map<string, ModuleUse>, use: ModuleUse): void {
  const known = modules.get(use.name)
  if (known === undefined) {
    modules.set(use.name, use)
    return
  }
  const needed = !known.optional || !use.optional
  modules.set(use.name, {
    ...known,
    ...(known.optional && !use.optional ? { line: use.line, source: use.source } : {}),
    optional: !needed,
    modules: [...new Set([...known.modules, ...use.modules])],
    alternatives: needed ? [] : [...new Set([...known.alternatives, ...use.alternatives])]
  })
}
