import type { SyntaxNode } from '@lezer/common'
import { ADDRESS_READERS, PATH_KEYWORDS } from './constants.js'
import type { CellNames } from './names.js'
import { childrenOf } from './sink.js'

export interface AddressFacts {
  /** Addresses that the cell reads, as they stand in it: there is no network where it runs. */
  addresses: { url: string; line: number }[]
  /** Names that the cell reads an address by and doesn't set itself: a cell above may. */
  addressNames: { name: string; line: number }[]
  /** Names that the cell leaves set to an address. */
  addressConstants: { name: string; url: string }[]
}

/** An address that a selection reads, and where. */
export interface AddressRead {
  url: string
  /** The cell that reads it, and its line there, from 1. */
  cell: string
  line: number
}

/** Longest address that an input may have (core/protocol/task/inputs.ts). */
const MAX_ADDRESS_CHARS = 2048
const ADDRESS = /^https?:\/\/[^\s/]+[^\s]*$/i
/** `requests.get`, `session.get`: what else is called `get` reads dictionaries. */
const HTTP_CLIENT = /^(?:requests|\w*sess(?:ion)?|(?:requests\.)?Session\(\))$/i
const HTTP_METHODS: ReadonlySet<string> = new Set(['get', 'head'])
/** With these it is another request than the one for the address alone. */
const OTHER_REQUEST: ReadonlySet<string> = new Set(['params', 'data', 'json', 'auth', 'files'])
const MAX_DEPTH = 8

/** A call, in the parts that matter here. */
export interface ReadingCall {
  name: string
  /** What stands before the dot; null: nothing. */
  owner: string | null
  positional: SyntaxNode[]
  keywords: Map<string, SyntaxNode>
  line: number
}

interface AddressFinderInit {
  textOf: (node: SyntaxNode) => string
  /** The value of a plain string literal. */
  literal: (node: SyntaxNode) => string | undefined
  /** What else has a text: paths that are put together. */
  path: (node: SyntaxNode, depth: number) => string | undefined
}

/** Finds the addresses that calls read: literals, and names and sums of literals. */
export class AddressFinder {
  readonly #addresses = new Map<string, number>()
  readonly #unknown = new Map<string, number>()
  readonly #constants = new Map<string, string>()
  /** Names that the cell sets to something that isn't known. */
  readonly #set = new Set<string>()
  /** Read in functions by names that the cell may set later. */
  readonly #late: [name: string, line: number][] = []
  /** Names of functions around, innermost last, with what is known of them. */
  readonly #functions: { has(name: string): boolean; values: Map<string, string> }[] = []

  constructor(private readonly init: AddressFinderInit) {}

  /** What a function binds is its own while `body` is walked. */
  within(bound: { has(name: string): boolean }, body: () => void): void {
    this.#functions.push({ has: name => bound.has(name), values: new Map() })
    body()
    this.#functions.pop()
  }

  /** A name is bound, by the statement around `node`. */
  bound(name: string, node: SyntaxNode): void {
    const value = this.#assigned(node)
    const scope = this.#functions.findLast(one => one.has(name))
    const values = scope?.values ?? this.#constants
    if (value === undefined) values.delete(name)
    else values.set(name, value)
    if (scope !== undefined) return
    if (value === undefined) this.#set.add(name)
    else this.#set.delete(name)
  }

  call({ name, owner, positional, keywords, line }: ReadingCall): void {
    const isClient = HTTP_METHODS.has(name) && owner !== null && HTTP_CLIENT.test(owner)
    if (!isClient && !ADDRESS_READERS.has(name)) return
    if ([...keywords.keys()].some(key => OTHER_REQUEST.has(key))) return
    // The second argument of these is what is sent to the server.
    if ((name === 'urlopen' || name === 'Request') && positional.length > 1) return
    const named = [...keywords].find(([key]) => key === 'url' || PATH_KEYWORDS.has(key))
    const node = positional[0] ?? named?.[1]
    if (node === undefined) return
    const url = this.valueOf(node)
    if (url !== undefined) this.#read(url, line)
    else if (node.name === 'VariableName') this.#byName(this.init.textOf(node), line)
  }

  finish(): AddressFacts {
    for (const [name, line] of this.#late) {
      const url = this.#constants.get(name)
      if (url !== undefined) this.#read(url, line)
      else if (!this.#set.has(name) && !this.#unknown.has(name)) this.#unknown.set(name, line)
    }
    const constants = [...this.#constants].filter(([, value]) => isAddress(value))
    return {
      addresses: [...this.#addresses].map(([url, line]) => ({ url, line })),
      addressNames: [...this.#unknown].map(([name, line]) => ({ name, line })),
      addressConstants: constants.map(([name, url]) => ({ name, url }))
    }
  }

  #read(url: string, line: number): void {
    if (isAddress(url) && !this.#addresses.has(url)) this.#addresses.set(url, line)
  }

  #byName(name: string, line: number): void {
    if (this.#functions.some(scope => scope.has(name))) return
    if (this.#functions.length > 0) this.#late.push([name, line])
    else if (!this.#set.has(name) && !this.#unknown.has(name)) this.#unknown.set(name, line)
  }

  #known(name: string): string | undefined {
    const scope = this.#functions.findLast(one => one.has(name))
    return (scope?.values ?? this.#constants).get(name)
  }

  /** The value that `name = …` gives; undefined for any other way to bind a name. */
  #assigned(node: SyntaxNode): string | undefined {
    const statement = node.parent
    const value = statement?.lastChild
    if (statement?.name !== 'AssignStatement' || !value || childrenOf(statement).some(({ name }) => name === ','))
      return undefined
    return this.valueOf(value)
  }

  /** The text that an expression has, where it is plain: literals, names of such, and what is put together of them. */
  valueOf(node: SyntaxNode, depth = 0): string | undefined {
    if (depth > MAX_DEPTH) return undefined
    const children = childrenOf(node)
    switch (node.name) {
      case 'String':
        return this.init.literal(node)
      case 'VariableName':
        return this.#known(this.init.textOf(node))
      case 'ParenthesizedExpression':
        return children[1] && this.valueOf(children[1], depth + 1)
      case 'ContinuedString':
        return this.#joined(children, depth)
      case 'BinaryExpression': {
        const [left, operator, right] = children
        const isSum = left && operator && right && this.init.textOf(operator) === '+'
        return isSum ? this.#joined([left, right], depth) : this.init.path(node, depth)
      }
      case 'FormatString':
        return this.#formatted(node, children, depth)
      default:
        return this.init.path(node, depth)
    }
  }

  #joined(nodes: readonly SyntaxNode[], depth: number): string | undefined {
    const parts = nodes.map(each => this.valueOf(each, depth + 1))
    return parts.includes(undefined) ? undefined : parts.join('')
  }

  /** `f"{BASE}/stars.csv"`: names alone within the braces. */
  #formatted(node: SyntaxNode, children: readonly SyntaxNode[], depth: number): string | undefined {
    const text = this.init.textOf(node)
    const [, open = '', quote = ''] = /^([fF])("""|'''|"|')/.exec(text) ?? []
    if (quote === '' || text.includes('\\')) return undefined
    let value = ''
    let at = open.length + quote.length
    for (const child of children) {
      const name = child.getChild('VariableName')
      const inner = this.init.textOf(child).slice(1, -1)
      if (child.name !== 'FormatReplacement' || name === null || this.init.textOf(name) !== inner) return undefined
      const part = this.valueOf(name, depth + 1)
      if (part === undefined) return undefined
      value += text.slice(at, child.from - node.from) + part
      at = child.to - node.from
    }
    value += text.slice(at, -quote.length)
    return /[{}]/.test(value) ? undefined : value
  }
}

const isAddress = (text: string): boolean => text.length <= MAX_ADDRESS_CHARS && ADDRESS.test(text)

/** The addresses that chosen cells read, each once; names are looked up in the cells above. */
export function addressesOf(
  cells: readonly { id: string; names: CellNames }[],
  selection: readonly string[]
): AddressRead[] {
  const found = new Map<string, AddressRead>()
  cells.forEach(({ id, names }, index) => {
    if (!selection.includes(id)) return
    const add = (url: string, line: number): void => void (found.has(url) || found.set(url, { url, cell: id, line }))
    for (const { url, line } of names.addresses) add(url, line)
    for (const { name, line } of names.addressNames) {
      const above = cells.slice(0, index).findLast(cell => cell.names.defines.some(defined => defined.name === name))
      const url = above?.names.addressConstants.find(constant => constant.name === name)?.url
      if (url !== undefined) add(url, line)
    }
  })
  return [...found.values()]
}
