import type { SyntaxNode } from '@lezer/common'
import { walkImport } from './import-statement.js'
import { childrenOf, type Sink } from './sink.js'

const COMPREHENSIONS = new Set([
  'ArrayComprehensionExpression',
  'SetComprehensionExpression',
  'DictionaryComprehensionExpression',
  'ComprehensionExpression'
])

/** Walks a Lezer Python tree in evaluation order. Tolerates trees with errors in them. */
export class Walker {
  constructor(
    private readonly text: string,
    private readonly sink: Sink
  ) {}

  textOf(node: SyntaxNode): string {
    return this.text.slice(node.from, node.to)
  }

  readonly visit = (node: SyntaxNode): void => {
    switch (node.name) {
      case 'VariableName':
        return this.sink.read(this.textOf(node), node)
      case 'String':
      case 'Comment':
        return
      case 'AssignStatement':
        return this.assignment(node)
      case 'UpdateStatement':
        return this.update(node)
      case 'DeleteStatement':
        return this.visitAll(childrenOf(node).slice(1), this.remove)
      case 'ImportStatement':
        return walkImport(node, this.sink, part => this.textOf(part))
      case 'FunctionDefinition':
      case 'LambdaExpression':
        return this.functionLike(node)
      case 'ClassDefinition':
        return this.classLike(node)
      case 'ForStatement':
        return this.loop(node)
      case 'WithStatement':
        return this.withAs(childrenOf(node))
      case 'TryStatement':
        return this.trying(node)
      case 'ScopeStatement':
        return this.scoping(node)
      case 'NamedExpression':
        return this.named(childrenOf(node))
      case 'ArgList':
        return this.argumentsOf(node)
      case 'TypeDefinition':
        return this.typeAlias(node)
      case 'Decorator':
        return this.decorator(node)
      case 'MatchStatement':
        return this.matching(node)
      case 'CapturePattern':
        return this.visitAll(childrenOf(node), child => this.textOf(child) !== '_' && this.bind(child))
      case 'KeywordPattern':
        return this.visitAll(childrenOf(node).slice(1), this.visit)
      case 'AsPattern':
        return this.withAs(childrenOf(node))
      case 'ExpressionStatement':
        this.visitAll(childrenOf(node), this.visit)
        return this.sink.statement(node)
      case 'CallExpression':
        this.visitAll(childrenOf(node), this.visit)
        return this.sink.call(node)
      case 'MemberExpression':
        this.visitAll(childrenOf(node), this.visit)
        return this.sink.member(node)
      default:
        if (COMPREHENSIONS.has(node.name)) return this.comprehension(childrenOf(node))
        return this.visitAll(childrenOf(node), this.visit)
    }
  }

  private visitAll(nodes: SyntaxNode[], each: (node: SyntaxNode) => unknown): void {
    for (const node of nodes) each(node)
  }

  private bind(node: SyntaxNode): void {
    if (node.name === 'VariableName') this.sink.bind(this.textOf(node), node, 'assign')
  }

  /** The name at the root of `a.b[c].d`, if it is a plain name. */
  rootOf(node: SyntaxNode): SyntaxNode | null {
    let root: SyntaxNode | null = node
    while (root !== null && (root.name === 'MemberExpression' || root.name === 'CallExpression')) root = root.firstChild
    return root !== null && root.name === 'VariableName' ? root : null
  }

  private readonly target = (node: SyntaxNode): void => {
    switch (node.name) {
      case 'VariableName':
        return this.bind(node)
      case 'TupleExpression':
      case 'ArrayExpression':
      case 'ParenthesizedExpression':
        return this.visitAll(childrenOf(node), this.target)
      case 'MemberExpression': {
        this.visitAll(childrenOf(node), this.visit)
        const root = this.rootOf(node)
        if (root !== null) this.sink.change(this.textOf(root), node)
        return
      }
      default:
        return this.visit(node)
    }
  }

  private readonly remove = (node: SyntaxNode): void => {
    if (node.name === 'VariableName') return this.sink.remove(this.textOf(node), node)
    if (node.name === 'MemberExpression') return this.target(node)
    this.visitAll(childrenOf(node), this.remove)
  }

  private assignment(node: SyntaxNode): void {
    const parts: SyntaxNode[][] = [[]]
    for (const child of childrenOf(node)) {
      if (child.name === 'AssignOp') parts.push([])
      else parts.at(-1)?.push(child)
    }
    const annotation = node.getChild('TypeDef')
    const value = parts.length > 1 ? parts.pop() : undefined
    if (value !== undefined) this.visitAll(value, this.visit)
    if (annotation !== null) this.visit(annotation)
    // The grammar reads `with a as (b, c):` as an assignment with an empty annotation; the names are bound all the same.
    const recovered = annotation !== null && annotation.getChild('⚠') !== null
    if (value === undefined && !recovered) return
    for (const part of parts)
      this.visitAll(
        part.filter(child => child.name !== 'TypeDef'),
        this.target
      )
  }

  private update(node: SyntaxNode): void {
    const [target, , ...value] = childrenOf(node)
    if (target === undefined) return
    this.visit(target)
    this.visitAll(value, this.visit)
    const root = this.rootOf(target)
    if (target.name === 'VariableName') this.bind(target)
    else if (root !== null) this.sink.change(this.textOf(root), target)
  }

  /** Visits defaults and annotations of a parameter list here and now; gives the parameters' names. */
  private parameters(list: SyntaxNode | null): string[] {
    if (list === null) return []
    const names: string[] = []
    let expectName = true
    for (const child of childrenOf(list)) {
      if (child.name === ',') expectName = true
      else if (child.name === 'VariableName' && expectName) {
        names.push(this.textOf(child))
        expectName = false
      } else if (child.name === 'AssignOp') expectName = false
      else this.visit(child)
    }
    return names
  }

  private typeParameters(node: SyntaxNode): string[] {
    const list = node.getChild('TypeParamList')
    if (list === null) return []
    return list.getChildren('TypeParam').flatMap(parameter => {
      const bound = parameter.getChild('TypeDef')
      if (bound !== null) this.visit(bound)
      const name = parameter.getChild('VariableName')
      return name === null ? [] : [this.textOf(name)]
    })
  }

  private functionLike(node: SyntaxNode): void {
    const types = this.typeParameters(node)
    // Annotations may name the type parameters, which exist in this definition only.
    this.sink.comprehension(bindLocal => {
      types.forEach(bindLocal)
      const returns = node.getChild('TypeDef')
      const names = [...types, ...this.parameters(node.getChild('ParamList'))]
      if (returns !== null) this.visit(returns)
      const body = node.getChild('Body')
      const inner = body !== null ? [body] : this.lambdaBody(node)
      this.sink.function(names, inner, this.visit)
    })
    if (node.name === 'FunctionDefinition') {
      const name = node.getChild('VariableName')
      if (name !== null) this.bind(name)
    }
  }

  private lambdaBody(node: SyntaxNode): SyntaxNode[] {
    const children = childrenOf(node)
    return children.slice(children.findIndex(child => child.name === ':') + 1)
  }

  private classLike(node: SyntaxNode): void {
    const types = this.typeParameters(node)
    this.sink.comprehension(bindLocal => {
      types.forEach(bindLocal)
      const bases = node.getChild('ArgList')
      if (bases !== null) this.visit(bases)
      const body = node.getChild('Body')
      if (body !== null) this.sink.classBody(types, [body], this.visit)
    })
    const name = node.getChild('VariableName')
    if (name !== null) this.bind(name)
  }

  /** `type X[T: B] = …`: the value is evaluated when somebody asks for it, and sees the type parameters. */
  private typeAlias(node: SyntaxNode): void {
    const [, name, ...value] = childrenOf(node)
    const types = this.typeParameters(node)
    this.sink.comprehension(bindLocal => {
      types.forEach(bindLocal)
      this.visitAll(
        value.filter(child => child.name !== 'TypeParamList'),
        this.visit
      )
    })
    if (name !== undefined) this.bind(name)
  }

  /** `@a.b(c)`: what stands behind a dot is an attribute. */
  private decorator(node: SyntaxNode): void {
    const children = childrenOf(node)
    this.visitAll(
      children.filter((child, index) => !(child.name === 'VariableName' && children[index - 1]?.name === '.')),
      this.visit
    )
  }

  /** The grammar takes one subject; of `match a, b:` it makes an error behind the first. */
  private matching(node: SyntaxNode): void {
    for (const child of childrenOf(node)) {
      if (child.name !== '⚠') this.visit(child)
      else if (/^[\p{L}_][\p{L}\p{N}_]*$/u.test(this.textOf(child))) this.sink.read(this.textOf(child), child)
    }
  }

  private loop(node: SyntaxNode): void {
    const children = childrenOf(node)
    const start = children.findIndex(child => child.name === 'for')
    const middle = children.findIndex(child => child.name === 'in')
    const bodies = children.filter(child => child.name === 'Body')
    if (middle < 0) return this.visitAll(bodies, this.visit)
    this.visitAll(
      children.slice(middle + 1).filter(child => child.name !== 'Body'),
      this.visit
    )
    this.visitAll(children.slice(start + 1, middle), this.target)
    this.visitAll(bodies, this.visit)
  }

  /** `expression as target` in with statements and patterns. */
  private withAs(children: SyntaxNode[]): void {
    children.forEach((child, index) => {
      const next = children[index + 1]
      // `with a as b.c:` is an error to the grammar; `b` is read, and gets another `c`.
      const member = next?.name === '⚠' && /^[.[]/.test(this.textOf(next))
      if (children[index - 1]?.name !== 'as' || member) this.visit(child)
      else this.target(child)
    })
  }

  private trying(node: SyntaxNode): void {
    const children = childrenOf(node)
    const handlers = children.slice(children.findIndex(child => child.name === 'except'))
    const catchesNames = handlers.some(child => child.name !== 'Body' && /\bNameError\b/.test(this.textOf(child)))
    const first = children.findIndex(child => child.name === 'Body')
    children.forEach((child, index) => {
      if (index === first && catchesNames) this.sink.guarded(() => this.visit(child))
      else if (children[index - 1]?.name === 'as') this.target(child)
      else this.visit(child)
    })
  }

  private scoping(node: SyntaxNode): void {
    const kind = node.firstChild?.name === 'nonlocal' ? 'nonlocal' : 'global'
    for (const name of node.getChildren('VariableName')) this.sink.scope(kind, this.textOf(name))
  }

  private named(children: SyntaxNode[]): void {
    const [name, , ...value] = children
    this.visitAll(value, this.visit)
    if (name !== undefined) this.target(name)
  }

  private argumentsOf(node: SyntaxNode): void {
    const children = childrenOf(node)
    if (children.some(child => child.name === 'for')) return this.comprehension(children)
    children.forEach((child, index) => {
      const next = children[index + 1]
      if (child.name === 'VariableName' && next?.name === 'AssignOp') {
        if (this.textOf(next) === ':=') this.bind(child)
        return
      }
      this.visit(child)
    })
  }

  private comprehension(children: SyntaxNode[]): void {
    const start = children.findIndex(child => child.name === 'for')
    if (start < 0) return this.visitAll(children, this.visit)
    const element = children.slice(0, start)
    this.sink.comprehension(bindLocal => {
      const bindTarget = (node: SyntaxNode): void => {
        if (node.name === 'VariableName') bindLocal(this.textOf(node))
        else this.visitAll(childrenOf(node), bindTarget)
      }
      let targets: SyntaxNode[] = []
      let naming = false
      let pending: SyntaxNode[] = []
      const finish = (): void => {
        // The iterable is evaluated before its loop's names exist; conditions come after them.
        const [iterable, ...conditions] = pending
        if (iterable !== undefined) this.visit(iterable)
        this.visitAll(targets, bindTarget)
        this.visitAll(conditions, this.visit)
        targets = []
        pending = []
      }
      for (const child of children.slice(start)) {
        if (child.name === 'for') {
          finish()
          naming = true
        } else if (child.name === 'in' && naming) naming = false
        else if (naming) targets.push(child)
        else pending.push(child)
      }
      finish()
      this.visitAll(element, this.visit)
    })
  }
}
