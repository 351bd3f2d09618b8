import type { Kernel } from '@jupyterlab/services'
import { HELPER_MODULES, HELPER_VERSION } from './helper-source.js'
import { fromBase64Fast, toBase64Fast } from './base64.js'

/** What the helper in the user's kernel answers: JSON, or bytes. */
export type Answer = { json: unknown } | { bytes: Uint8Array }

/** The user's kernel, as far as values need it. Nothing of a call shows in history, namespace or output. */
export interface KernelDoor {
  /** Calls a function of the helper, `name` or `returns.name`, with JSON values and bytes. @throws Error where the kernel fails or has no IPython; the reason of `signal` */
  call(name: string, args: readonly unknown[], signal?: AbortSignal): Promise<Answer>
  /** Whether a cell runs there, so that a call waits for its end. */
  readonly busy: boolean
  dispose(): void
}

const EXPRESSION = 'pekka'
/** Wraps a text as a Python literal; JSON's escapes are Python's too. */
const literal = (text: string): string => JSON.stringify(text)

/** Loads the helper as modules of its own. One expression, so nothing is bound in the user's namespace. */
const LOAD = `__import__('builtins').exec(${literal(`
import importlib.machinery, sys, types
def taken(name):
    spec = importlib.machinery.PathFinder.find_spec(name)
    return spec is not None and spec.origin is not None
for name, source in MODULES:
    if name == 'pekka' and taken(name):
        name = '_pekka_user' # a package of the user's own keeps its name
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, '<' + name + '>', 'exec'), module.__dict__)
    if name == '_pekka_reader':
        module.CODECS = MODULES[0][1]
sys.modules['_pekka_kernel'].returns = sys.modules['_pekka_returns']
sys.modules['_pekka_kernel'].VERSION = ${literal(HELPER_VERSION)}
`)}, {'MODULES': __import__('json').loads(${literal(JSON.stringify(HELPER_MODULES))})})`

/** An argument as a Python expression. Base64 needs no escapes, so bytes are written once. */
const python = (arg: unknown): string =>
  arg instanceof Uint8Array
    ? `__import__('binascii').a2b_base64('${toBase64Fast(arg)}')`
    : `__import__('json').loads(${literal(JSON.stringify(arg))})`

const HELPER = `__import__('sys').modules.get('_pekka_kernel')`
const LOADED = `getattr(${HELPER}, 'VERSION', None) == ${literal(HELPER_VERSION)}`

/**
 * Opens a door to a kernel of JupyterLab. While a cell runs there and the kernel has subshells (ipykernel 7), a subshell of
 * our own answers meanwhile; else a call waits until the kernel is free.
 */
export async function openKernel(kernel: Kernel.IKernelConnection): Promise<KernelDoor> {
  await kernel.info
  const occupied = (): boolean => kernel.status === 'busy'
  if (!occupied() || !kernel.supportsSubshells) return new LabKernel(kernel, occupied, () => undefined)
  const { content } = await kernel.requestCreateSubshell({}).done
  const beside = kernel.clone()
  beside.subshellId = content.subshell_id
  // Disposing of a connection to a subshell ends the subshell.
  return new LabKernel(
    beside,
    () => false,
    () => beside.dispose()
  )
}

class LabKernel implements KernelDoor {
  #loaded = false

  constructor(
    private readonly kernel: Kernel.IKernelConnection,
    private readonly occupied: () => boolean,
    private readonly end: () => void
  ) {}

  get busy(): boolean {
    return this.occupied()
  }

  async call(name: string, args: readonly unknown[], signal?: AbortSignal): Promise<Answer> {
    if (!this.#loaded) {
      const found = await this.#execute('', LOADED, signal)
      if (textOf(found) !== 'True') await this.#execute(LOAD, 'None', signal)
      this.#loaded = true
    }
    const given = args.map(python).join(', ')
    const answer = await this.#execute('', `${HELPER}.${name}(${given})`, signal)
    const bytes = answer['application/vnd.pekka.bytes']
    if (typeof bytes === 'string') return { bytes: fromBase64Fast(bytes) }
    const json = answer['application/vnd.pekka+json']
    if (typeof json !== 'string') throw new Error('The kernel gave no answer')
    return { json: JSON.parse(json) }
  }

  dispose(): void {
    this.end()
  }

  async #execute(code: string, expression: string, signal?: AbortSignal): Promise<Record<string, unknown>> {
    signal?.throwIfAborted()
    const future = this.kernel.requestExecute({
      code,
      silent: true,
      store_history: false,
      user_expressions: { [EXPRESSION]: expression },
      allow_stdin: false,
      stop_on_error: false
    })
    const abort = (): void => future.dispose()
    signal?.addEventListener('abort', abort, { once: true })
    try {
      const reply = await future.done
      if (reply.content.status !== 'ok') throw new Error(errorOf(reply.content))
      // What an expression gave: a mime bundle, or an error.
      const found = reply.content.user_expressions[EXPRESSION] as
        { status?: string; data?: Record<string, unknown>; ename?: string; evalue?: string } | undefined
      if (found?.status !== 'ok' || found.data === undefined) throw new Error(errorOf(found ?? {}))
      return found.data
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }
}

const textOf = (data: Record<string, unknown>): unknown => data['text/plain']

const errorOf = (content: object): string =>
  'ename' in content && 'evalue' in content
    ? `${String(content.ename)}: ${String(content.evalue)}`
    : 'The kernel did not answer'
