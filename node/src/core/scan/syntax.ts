import type { SyntaxNode } from '@lezer/common'
import { parser } from '@lezer/python'
import { MAX_SOURCE_CHARS } from './constants.js'
import { lineFinder } from './lines.js'
import { plainPython } from './magics.js'
import type { ModuleUse, NamedSource } from './imports.js'
import { NEWER_STANDARD_LIBRARY } from './stdlib.js'
import { childrenOf } from './sink.js'

/** Python in the images, as major and minor. */
export const IMAGE_PYTHON: readonly [number, number] = [3, 11]

/** Something that the images' Python doesn't have. */
export interface TooNew {
  /** As people call it: "`type X = …`". */
  what: string
  /** The first Python that has it. */
  python: string
  line: number
  source: string
}

/** Names that came to the standard library after the images' Python. */
const NEWER_NAMES: ReadonlyMap<string, string> = new Map([
  ['itertools.batched', '3.12'],
  ['typing.override', '3.12'],
  ['typing.TypeAliasType', '3.12'],
  ['collections.abc.Buffer', '3.12'],
  ['warnings.deprecated', '3.13'],
  ['typing.TypeIs', '3.13'],
  ['typing.ReadOnly', '3.13'],
  ['typing.NoDefault', '3.13'],
  ['copy.replace', '3.13'],
  ['queue.ShutDown', '3.13'],
  ['concurrent.futures.InterpreterPoolExecutor', '3.14'],
  ['concurrent.interpreters', '3.14'],
  ['string.templatelib', '3.14']
])

/** Syntax and standard library newer than the images' Python: such code would stop with a SyntaxError or ImportError. */
export function tooNew(sources: readonly NamedSource[], modules: readonly ModuleUse[]): TooNew[] {
  const found = new Map<string, TooNew>()
  const note = (entry: TooNew): void => {
    if (!found.has(entry.what)) found.set(entry.what, entry)
  }
  for (const { id, source } of sources) {
    if (source.length > MAX_SOURCE_CHARS) continue
    const { code } = plainPython(source)
    const lineOf = lineFinder(code)
    const add = (what: string, python: string, node: SyntaxNode): void =>
      note({ what, python, line: lineOf(node.from), source: id })
    const visit = (node: SyntaxNode): void => {
      look(node, code, add)
      childrenOf(node).forEach(visit)
    }
    try {
      visit(parser.parse(code).topNode)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
    }
  }
  for (const { name, modules: dotted, line, source, optional } of modules) {
    if (optional) continue
    const module = NEWER_STANDARD_LIBRARY.get(name)
    if (module !== undefined) note({ what: `the module ${name}`, python: module, line, source })
    for (const each of dotted) {
      const python = NEWER_NAMES.get(each)
      if (python !== undefined) note({ what: each, python, line, source })
    }
  }
  return [...found.values()]
}

function look(node: SyntaxNode, code: string, add: (what: string, python: string, node: SyntaxNode) => void): void {
  switch (node.name) {
    case 'TypeDefinition':
      return add('`type X = …`', '3.12', node)
    case 'TypeParamList': {
      const text = code.slice(node.from, node.to)
      // A default: `[T = int]`.
      return /[^=<>!]=[^=]/.test(text)
        ? add('defaults of type parameters', '3.13', node)
        : add('type parameters in brackets', '3.12', node)
    }
    case 'FormatString':
      return formatString(node, code, add)
    case 'TryStatement': {
      const children = childrenOf(node)
      const bare = children.findIndex(
        (child, index) =>
          child.name === 'except' && children[index + 2]?.name === ',' && children[index + 1]?.name !== '*'
      )
      const handler = children[bare]
      if (handler !== undefined) add('`except A, B:` without brackets', '3.14', handler)
      return
    }
    case 'VariableName': {
      const after = code.slice(node.to, node.to + 1)
      if ((after === '"' || after === "'") && /^(t|tr|rt)$/i.test(code.slice(node.from, node.to)))
        add('t-strings', '3.14', node)
      return
    }
    default:
  }
}

/** PEP 701: within the braces of an f-string, older Pythons know neither its own quotes nor backslashes, comments or line ends. */
function formatString(
  node: SyntaxNode,
  code: string,
  add: (what: string, python: string, node: SyntaxNode) => void
): void {
  const quote = /^[a-zA-Z]{1,2}("""|'''|"|')/.exec(code.slice(node.from, node.from + 5))?.[1]
  if (quote === undefined) return
  for (const replacement of node.getChildren('FormatReplacement')) {
    // A format after the colon is text of the string itself.
    const spec = replacement.getChild('FormatSpec')
    const inside = code.slice(replacement.from + 1, spec?.from ?? replacement.to - 1)
    if (inside.includes(quote)) add('quotes of the same kind inside an f-string', '3.12', replacement)
    else if (inside.includes('\\')) add('a backslash inside the braces of an f-string', '3.12', replacement)
    else if (quote.length === 1 && inside.includes('\n'))
      add('a line end inside the braces of an f-string', '3.12', replacement)
    else if (/(^|\s)#/.test(inside.replace(/(["'])(?:(?!\1).)*\1/g, '')))
      add('a comment inside the braces of an f-string', '3.12', replacement)
  }
}
