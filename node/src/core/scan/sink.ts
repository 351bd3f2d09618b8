import type { SyntaxNode } from '@lezer/common'

/** What a walk over Python's syntax reports, in the order in which Python evaluates it. */
export interface Sink {
  read(name: string, node: SyntaxNode): void
  bind(name: string, node: SyntaxNode, how: 'assign' | 'import'): void
  remove(name: string, node: SyntaxNode): void
  /** `x.a = …`, `x[i] = …`, `del x[i]`: the object that `x` names changes. */
  change(name: string, node: SyntaxNode): void
  scope(kind: 'global' | 'nonlocal', name: string): void
  imports(module: string, star: boolean, node: SyntaxNode): void
  call(node: SyntaxNode): void
  /** A statement that is nothing but an expression. */
  statement(node: SyntaxNode): void
  member(node: SyntaxNode): void
  /** A function or lambda: its body runs later, if ever. */
  function(parameters: string[], body: SyntaxNode[], walk: (node: SyntaxNode) => void): void
  classBody(parameters: string[], body: SyntaxNode[], walk: (node: SyntaxNode) => void): void
  /** A comprehension: `inner` runs at once, in a scope of its own. `bindLocal` binds its loop names. */
  comprehension(inner: (bindLocal: (name: string) => void) => void): void
  /** A body whose NameErrors are caught: what it reads may be missing on purpose. */
  guarded(body: () => void): void
}

/** The children of a node, punctuation included. */
export function childrenOf(node: SyntaxNode): SyntaxNode[] {
  const children: SyntaxNode[] = []
  for (let child = node.firstChild; child !== null; child = child.nextSibling) children.push(child)
  return children
}
