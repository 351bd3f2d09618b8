import { CBOR, PekkaError, decodeCbor, encodeCbor, fromProblem, fromUtf8, isPekkaError } from '../protocol/index.js'

/** The part of `fetch` that is used; the browser's and Node's both fit. */
export type FetchLike = (
  url: string,
  init: { method: string; headers: Record<string, string>; body?: Uint8Array<ArrayBuffer>; signal?: AbortSignal }
) => Promise<{ status: number; headers: { get(name: string): string | null }; arrayBuffer(): Promise<ArrayBuffer> }>

/** Something with zod's `parse`. */
export interface Schema<T> {
  parse(value: unknown): T
}

export interface HttpInit {
  /** Address of the bridge without a slash at the end, e.g. `http://127.0.0.1:7420`. */
  base: string
  /** More headers for every request, e.g. what a proxy in between needs. */
  headers?: Record<string, string>
}

/** Requests to a bridge: CBOR both ways, errors as PekkaError. */
export class Http {
  constructor(
    private readonly components: { fetch: FetchLike },
    private readonly init: HttpInit
  ) {}

  get base(): string {
    return this.init.base
  }

  /** @throws PekkaError of the problem document, BRIDGE_UNREACHABLE, SCHEMA_MISMATCH where the answer has another shape. */
  async request<T>(
    method: string,
    path: string,
    schema: Schema<T>,
    options: { body?: unknown; token?: string; signal?: AbortSignal } = {}
  ): Promise<T> {
    const body = options.body === undefined ? undefined : encodeCbor(options.body)
    const bytes = await this.bytes(method, path, { ...options, body, type: CBOR })
    try {
      return schema.parse(decodeCbor(bytes))
    } catch (cause) {
      throw isPekkaError(cause) ? cause : new PekkaError('SCHEMA_MISMATCH', { issue: `answer of ${path}` }, { cause })
    }
  }

  /** The raw bytes of an answer. */
  async bytes(
    method: string,
    path: string,
    options: { body?: Uint8Array; type?: string; token?: string; signal?: AbortSignal } = {}
  ): Promise<Uint8Array> {
    const headers: Record<string, string> = { accept: CBOR, ...this.init.headers }
    if (options.body !== undefined) headers['content-type'] = options.type ?? 'application/octet-stream'
    if (options.token !== undefined) headers['x-pekka-token'] = options.token
    let response: Awaited<ReturnType<FetchLike>>
    let bytes: Uint8Array
    try {
      response = await this.components.fetch(`${this.init.base}${path}`, {
        method,
        headers,
        // The bytes of ours are never views on shared memory; `fetch` wants to be told so.
        ...(options.body === undefined ? {} : { body: options.body as Uint8Array<ArrayBuffer> }),
        ...(options.signal === undefined ? {} : { signal: options.signal })
      })
      bytes = new Uint8Array(await response.arrayBuffer())
    } catch (cause) {
      options.signal?.throwIfAborted()
      throw new PekkaError('BRIDGE_UNREACHABLE', { address: this.init.base }, { cause })
    }
    if (response.status >= 200 && response.status < 300) return bytes
    throw readProblem(response.status, bytes, this.init.base)
  }
}

function readProblem(status: number, bytes: Uint8Array, address: string): PekkaError {
  try {
    const problem: unknown = JSON.parse(fromUtf8(bytes))
    if (problem !== null && typeof problem === 'object' && 'code' in problem) return fromProblem(problem)
  } catch {
    // A proxy's page, not ours: handled below.
  }
  // 502 to 504 come from a proxy whose bridge is gone.
  if (status >= 502 && status <= 504) return new PekkaError('BRIDGE_UNREACHABLE', { address })
  return new PekkaError('INTERNAL', { id: `http ${status}` })
}

/** The part of a socket.io client that is used. */
export interface LiveSocket {
  readonly connected: boolean
  on(event: string, listener: (...args: unknown[]) => void): unknown
  emit(event: string, ...args: unknown[]): unknown
  connect(): unknown
  disconnect(): unknown
}

/** Opens a socket to the bridge; `token` is asked for at every (re)connection. */
export type LiveFactory = (token: () => Promise<string>) => LiveSocket

/** What came over the socket as the schema has it; null for anything malformed: a bridge can't hurt a client with rubbish. */
export function readPacked<T>(
  schema: { safeParse(value: unknown): { success: true; data: T } | { success: false } },
  packed: unknown
): T | null {
  const bytes = packed instanceof Uint8Array ? packed : packed instanceof ArrayBuffer ? new Uint8Array(packed) : null
  if (!bytes) return null
  try {
    const parsed = schema.safeParse(decodeCbor(bytes))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}
