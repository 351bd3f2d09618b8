import type { Kernel } from '@jupyterlab/services'

/** A kernel that doesn't answer by then is left alone: Python's own names are seldom anything else, ms. */
const ASK_MS = 1_000

/**
 * Python that lists, of some names, those by which the kernel has something else than Python and IPython put there. One expression:
 * it binds nothing, and calls nothing that may be among the names. Names are identifiers.
 */
export const shadowsExpression = (names: readonly string[]): string =>
  `(lambda shell, own: [n for n in (${names.map(name => `"${name}",`).join('')}) if n in shell.user_ns ` +
  'and shell.user_ns[n] is not own.get(n, own) and shell.user_ns[n] is not shell.user_ns_hidden.get(n, own)])' +
  '(get_ipython(), __import__("builtins").__dict__)'

/** What {@link shadowsExpression} gave, by its repr. */
export const readShadows = (text: unknown): string[] =>
  typeof text === 'string' ? [...text.matchAll(/'([^'\\]+)'/g)].map(([, name = '']) => name) : []

type Asked = Pick<Kernel.IKernelConnection, 'status' | 'requestExecute'>

/** Of Python's own names those that an idle kernel has otherwise. Empty where it is busy or can't be asked; never throws. */
export async function shadowing(kernel: Asked, names: readonly string[]): Promise<string[]> {
  if (names.length === 0 || kernel.status !== 'idle') return []
  const future = kernel.requestExecute({
    code: '',
    silent: true,
    store_history: false,
    allow_stdin: false,
    user_expressions: { pekka: shadowsExpression(names) }
  })
  const timer = setTimeout(() => future.dispose(), ASK_MS)
  try {
    const { content } = await future.done
    if (content.status !== 'ok') return []
    // The protocol's reply to a user expression: a display of its value.
    const found = content.user_expressions['pekka'] as { data?: Record<string, unknown> } | undefined
    return readShadows(found?.data?.['text/plain'])
  } catch {
    // Restarted or closed meanwhile, too slow, or of another language.
    return []
  } finally {
    clearTimeout(timer)
  }
}
