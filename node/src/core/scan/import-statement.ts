import type { SyntaxNode } from '@lezer/common'
import { childrenOf, type Sink } from './sink.js'

/** `import a.b as c, d`, `from .a import b as c`: the modules, and the names that they are bound to. */
export function walkImport(
  node: SyntaxNode,
  sink: Pick<Sink, 'imports' | 'bind'>,
  textOf: (node: SyntaxNode) => string
): void {
  const children = childrenOf(node)
  const from = children[0]?.name === 'from'
  let module = ''
  let i = 1
  if (from) {
    for (; i < children.length && children[i]?.name !== 'import'; i += 1) module += textOf(children[i] ?? node)
    const names = children.slice(i + 1)
    sink.imports(
      module.trim(),
      names.some(child => child.name === '*'),
      node
    )
    names.forEach((child, at) => {
      if (child.name === 'VariableName' && names[at + 1]?.name !== 'as') {
        sink.bind(textOf(child), child, 'import')
      }
    })
    return
  }
  let dotted: SyntaxNode[] = []
  let alias: SyntaxNode | undefined
  const finish = (): void => {
    const first = dotted[0]
    if (first === undefined) return
    sink.imports(dotted.map(part => textOf(part)).join('.'), false, first)
    const bound = alias ?? first
    sink.bind(textOf(bound), bound, 'import')
    dotted = []
    alias = undefined
  }
  for (; i < children.length; i += 1) {
    const child = children[i]
    if (child === undefined) continue
    if (child.name === ',') finish()
    else if (child.name === 'VariableName') {
      if (children[i - 1]?.name === 'as') alias = child
      else dotted.push(child)
    }
  }
  finish()
}
