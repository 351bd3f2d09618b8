import type { SyntaxNode } from '@lezer/common'
import { AddressFinder, type AddressFacts } from './addresses.js'
import { OTHER_READERS, PATH_KEYWORDS, PATH_READ_METHODS, READERS } from './constants.js'
import type { PlainPython } from './magics.js'
import { childrenOf } from './sink.js'

export interface CellFacts extends AddressFacts {
  /** Literal local files that the cell reads: they stand on the user's computer. */
  paths: { path: string; line: number }[]
  /** Environment variables that the cell reads and hasn't set by then. */
  environment: { name: string; line: number }[]
  /** Literal local files that the cell writes, so that reading them later isn't a lack. */
  writes: string[]
  /** Literal files in calls that don't read them, or that make what isn't there: any of those may make the file, or look for it. */
  named: string[]
  /** Lines with `input(`: nobody can type there. */
  input: number[]
}

/** Whether a literal path surely names one file, and no folder, pattern or model that a library knows by a name. */
export const isFileName = (path: string): boolean => /[^./\\]\.\w{1,12}$/.test(path) && !/[*?[\]]/.test(path)

/** Without `./`, which names the same file. */
const bare = (path: string): string => path.replace(/^(\.\/+)+/, '')

/**
 * Of literal files that aren't there, those that are worth a word: that surely are files, stand in no home directory, and that no
 * cell may make, in whatever order.
 */
export function lacking(absent: Iterable<string>, cells: readonly Pick<CellFacts, 'writes' | 'named'>[]): string[] {
  const made = new Set(cells.flatMap(({ writes, named }) => [...writes, ...named].map(bare)))
  // `np.save('a', x)` makes a.npy.
  const mayBeMade = (path: string): boolean => made.has(path) || made.has(path.replace(/\.\w+$/, ''))
  const paths = new Set([...absent].map(bare))
  return [...paths].filter(path => isFileName(path) && !path.startsWith('~') && !mayBeMade(path))
}

/** What makes a `pathlib.Path`, and neither reads nor writes. */
const PATH_TYPE = /(^|\.)(Pure)?(Posix|Windows)?Path$/
/** That, and what joins the parts of one. */
const PATH_MAKER = /(^|\.)((Pure)?(Posix|Windows)?Path|(os\.)?path\.join)$/

/** Readers whose second argument is no mode: `load_column('in.h5', 'x')`. */
const READS_ONLY = /^(?:read|load|parse)/i

/** Readers that make what isn't there, or that other libraries call by the same name with an address. */
const MAKERS: ReadonlySet<string> = new Set(['connect'])

/** Places of the machine itself, which every machine has of its own. */
const MACHINE_PATHS = /^\/(proc|sys|dev|etc|usr|bin|lib|opt)(\/|$)/

/** Finds literal file names, addresses, environment variables and `input()` in calls. */
export class FactFinder {
  readonly addresses: AddressFinder
  private readonly paths = new Map<string, number>()
  private readonly environment = new Map<string, number>()
  private readonly set = new Set<string>()
  private readonly written = new Set<string>()
  private readonly named = new Set<string>()
  private readonly input: number[] = []

  constructor(
    private readonly text: string,
    private readonly lineOf: (offset: number) => number
  ) {
    this.addresses = new AddressFinder({
      textOf: node => this.textOf(node),
      literal: node => this.literal(node),
      path: (node, depth) => this.joinedPath(node, depth)
    })
  }

  private textOf(node: SyntaxNode | null | undefined): string {
    return node === null || node === undefined ? '' : this.text.slice(node.from, node.to)
  }

  call(node: SyntaxNode): void {
    const callee = node.firstChild
    const list = node.getChild('ArgList')
    if (callee === null || list === null) return
    const name = this.textOf(callee.name === 'MemberExpression' ? callee.lastChild : callee)
    const owner = callee.name === 'MemberExpression' ? callee.firstChild : null
    const { positional, keywords } = this.argumentsOf(list)
    const line = this.lineOf(node.from)
    this.addresses.call({ name, owner: owner && this.textOf(owner), positional, keywords, line })
    if (name === 'input' && owner === null) this.input.push(this.lineOf(node.from))
    if (name === 'getenv' || (/(^|\.)environ$/.test(this.textOf(owner)) && (name === 'get' || name === 'pop'))) {
      this.readVariable(this.literal(positional[0]), node)
    }
    if (/(^|\.)environ$/.test(this.textOf(owner)) && name === 'setdefault')
      this.setVariable(this.literal(positional[0]))
    if (name === 'write_text' || name === 'write_bytes' || name === 'touch') this.write(this.pathOf(owner))
    if (owner !== null && PATH_READ_METHODS.has(name)) this.access(this.pathOf(owner), positional[0], keywords, node)
    if (!READERS.has(name) || MAKERS.has(name)) this.name(name, owner, [...positional, ...keywords.values()])
    const keyword = [...keywords].find(([key]) => PATH_KEYWORDS.has(key))
    const file = positional[0] ?? keyword?.[1]
    if (READERS.has(name)) this.access(this.pathOf(file), positional[1], keywords, node)
    else if (OTHER_READERS.test(name)) this.mayRead(name, file, positional, keywords, node)
  }

  member(node: SyntaxNode): void {
    const variable = this.environVariable(node)
    if (variable !== undefined) this.readVariable(variable, node)
  }

  /** `os.environ['X'] = …`: the walker reports the read of its parts first, so that read is taken back. */
  assigned(node: SyntaxNode): void {
    const variable = this.environVariable(node)
    if (variable === undefined) return
    if (this.environment.get(variable) === this.lineOf(node.from)) this.environment.delete(variable)
    this.setVariable(variable)
  }

  finish({ writes, files }: Pick<PlainPython, 'writes' | 'files'>): CellFacts {
    for (const { path, line } of files) {
      if (this.written.has(bare(path)) || this.paths.has(path)) continue
      this.paths.set(path, line)
      this.named.add(bare(path))
    }
    for (const path of writes) this.write(path)
    return {
      paths: [...this.paths].map(([path, line]) => ({ path, line })),
      environment: [...this.environment].map(([name, line]) => ({ name, line })),
      writes: [...this.written],
      named: [...this.named],
      input: this.input,
      ...this.addresses.finish()
    }
  }

  private environVariable(node: SyntaxNode): string | undefined {
    const children = childrenOf(node)
    if (children[1]?.name !== '[' || !/(^|\.)environ$/.test(this.textOf(children[0]))) return undefined
    return this.literal(children[2])
  }

  private readVariable(name: string | undefined, node: SyntaxNode): void {
    if (name === undefined || name === '' || this.set.has(name) || this.environment.has(name)) return
    this.environment.set(name, this.lineOf(node.from))
  }

  private setVariable(name: string | undefined): void {
    if (name !== undefined) this.set.add(name)
  }

  private access(
    path: string | undefined,
    mode: SyntaxNode | undefined,
    keywords: Map<string, SyntaxNode>,
    node: SyntaxNode
  ): void {
    const how = this.literal(keywords.get('mode') ?? mode) ?? 'r'
    if (/^[rwxabt+]{1,4}$/.test(how) && /[wxa]/.test(how)) this.write(path)
    else if (path !== undefined && !this.written.has(bare(path)) && !this.paths.has(path)) {
      this.paths.set(path, this.lineOf(node.from))
    }
  }

  /** Of readers that also take other texts: what surely is the name of a file. That it isn't there is no lack (`named`). */
  private mayRead(
    name: string,
    file: SyntaxNode | undefined,
    positional: readonly SyntaxNode[],
    keywords: Map<string, SyntaxNode>,
    node: SyntaxNode
  ): void {
    // `Dataset('out.nc', 'w')` writes its file; what is named beside that is read.
    const mode = keywords.get('mode') ?? (READS_ONLY.test(name) ? undefined : positional[1])
    for (const one of [...positional, ...keywords.values()]) {
      const path = this.pathOf(one)
      if (path !== undefined && isFileName(path)) this.access(path, one === file ? mode : undefined, new Map(), node)
    }
  }

  private write(path: string | undefined): void {
    if (path !== undefined) this.written.add(bare(path))
  }

  /** What a call names that doesn't read. */
  private name(name: string, owner: SyntaxNode | null, given: readonly SyntaxNode[]): void {
    if (PATH_TYPE.test(name)) return
    for (const node of [...(owner === null || PATH_READ_METHODS.has(name) ? [] : [owner]), ...given]) {
      const several = node.name === 'ArrayExpression' || node.name === 'TupleExpression'
      for (const one of several ? childrenOf(node) : [node]) {
        const path = this.pathOf(one)
        if (path !== undefined) this.named.add(bare(path))
      }
    }
  }

  private argumentsOf(list: SyntaxNode): { positional: SyntaxNode[]; keywords: Map<string, SyntaxNode> } {
    const positional: SyntaxNode[] = []
    const keywords = new Map<string, SyntaxNode>()
    let part: SyntaxNode[] = []
    const finish = (): void => {
      const [first, operator, value] = part
      if (first !== undefined && operator?.name === 'AssignOp' && value !== undefined) {
        keywords.set(this.textOf(first), value)
      } else if (first !== undefined) positional.push(first)
      part = []
    }
    for (const child of childrenOf(list).slice(1)) {
      if (child.name === ',' || child.name === ')') finish()
      else part.push(child)
    }
    finish()
    return { positional, keywords }
  }

  /** The file that an expression names: `'a.csv'`, `Path('data') / 'a.csv'`; undefined for anything computed or remote. */
  private pathOf(node: SyntaxNode | null | undefined): string | undefined {
    const path = node === null || node === undefined ? undefined : this.addresses.valueOf(node)
    if (path === undefined || path === '' || /^\w+:\/\//.test(path) || MACHINE_PATHS.test(path)) return undefined
    // A text with line ends or markup is data given in place of a file, as `read_html('<table>…')`.
    return /[\n\r<>{}]/.test(path) || path.length > 1024 ? undefined : path
  }

  /** `Path('data') / 'a.csv'`, `Path('data', 'a.csv')`, `os.path.join('data', 'a.csv')`. */
  private joinedPath(node: SyntaxNode, depth: number): string | undefined {
    const children = childrenOf(node)
    if (node.name === 'BinaryExpression' && this.textOf(children[1]) === '/') {
      return this.joined([children[0], children[2]], depth)
    }
    if (node.name !== 'CallExpression' || !PATH_MAKER.test(this.textOf(node.firstChild))) return undefined
    const list = node.getChild('ArgList')
    return list === null ? undefined : this.joined(this.argumentsOf(list).positional, depth)
  }

  private joined(nodes: readonly (SyntaxNode | undefined)[], depth: number): string | undefined {
    const parts = nodes.map(part => part && this.addresses.valueOf(part, depth + 1))
    if (parts.length === 0) return undefined
    // A part from the root leaves those before it out.
    return parts.reduce((path, part) => {
      if (path === undefined || part === undefined) return undefined
      return part.startsWith('/') || path === '' ? part : `${path.replace(/\/+$/, '')}/${part}`
    })
  }

  /** The value of a plain string literal (no f-string, no bytes). */
  private literal(node: SyntaxNode | undefined): string | undefined {
    if (node === undefined || node.name !== 'String') return undefined
    const match = /^([rRuU]?)("""|'''|"|')([\s\S]*)\2$/.exec(this.textOf(node))
    if (match === null) return undefined
    const [, prefix = '', , value = ''] = match
    return /r/i.test(prefix) ? value : value.replace(/\\(['"\\])/g, '$1')
  }
}
