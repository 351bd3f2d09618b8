import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { INDEX_TIMEOUT_SECONDS } from './constants.js'

/**
 * The environment for uv, which doesn't read pip's settings: where pip's index was replaced (a mirror, a company's index) and uv's was
 * not, uv is told the same. Beside a replaced index pip's extra ones count too, all as equals, as pip has it; that is safe because
 * every file must match a locked hash. Proxies and certificates pass through as they are.
 *
 * @param configs texts of pip's configuration files, the strongest last
 */
export function uvEnvironment(env: NodeJS.ProcessEnv, configs: readonly string[] = []): NodeJS.ProcessEnv {
  const pip = Object.assign({}, ...configs.map(parsePipConfig)) as Partial<Record<string, string>> // what the parser gives
  const setting = (key: string): string | undefined => env[`PIP_${key.toUpperCase().replaceAll('-', '_')}`] ?? pip[key]
  const result: NodeJS.ProcessEnv = { ...env }
  const certificates = setting('cert')
  if (certificates !== undefined) result.SSL_CERT_FILE ??= certificates
  result.UV_HTTP_TIMEOUT ??= String(INDEX_TIMEOUT_SECONDS)
  const index = setting('index-url')
  const uvIsSet = ['UV_DEFAULT_INDEX', 'UV_INDEX_URL', 'UV_INDEX', 'UV_EXTRA_INDEX_URL', 'UV_CONFIG_FILE'].some(
    key => env[key]
  )
  if (index === undefined || uvIsSet) return result
  result.UV_DEFAULT_INDEX = index
  const extra = setting('extra-index-url')
  if (extra !== undefined) {
    result.UV_INDEX = extra
    result.UV_INDEX_STRATEGY = 'unsafe-best-match'
  }
  return result
}

/** Reads `key = value` of the sections that concern `pip install`; a value may go on in indented lines. */
function parsePipConfig(text: string): Record<string, string> {
  const found: Record<string, string> = {}
  let section = ''
  let last: string | undefined
  for (const raw of text.split('\n')) {
    const [, name] = /^\[(\w+)\]/.exec(raw) ?? []
    const [, key, value] = /^([a-z_-]+)\s*[=:]\s*(.*)$/.exec(raw) ?? []
    if (name !== undefined) {
      section = name
      last = undefined
    } else if (!['global', 'install'].includes(section)) continue
    else if (key !== undefined && value !== undefined) {
      last = key.replaceAll('_', '-')
      found[last] = value.trim()
    } else if (last !== undefined && /^\s+\S/.test(raw)) found[last] = `${found[last] ?? ''} ${raw.trim()}`.trim()
  }
  return found
}

/** Texts of the configuration files that pip would read, the strongest last. */
export async function pipConfigs(env: NodeJS.ProcessEnv): Promise<string[]> {
  const home = homedir()
  const named = env.PIP_CONFIG_FILE
  const files = [
    '/etc/pip.conf',
    join(home, '.pip/pip.conf'),
    join(env.XDG_CONFIG_HOME ?? join(home, '.config'), 'pip/pip.conf'),
    ...(named === undefined ? [] : [named])
  ]
  if (named === '/dev/null') return []
  return Promise.all(files.map(file => readFile(file, 'utf8').catch(() => '')))
}
