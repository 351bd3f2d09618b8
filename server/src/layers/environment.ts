import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { find } from '@pekka/node/setup/search'
import { parsePipConfig, uvEnvironment } from '@pekka/node/setup/python'
import { PekkaError } from '@pekka/node/protocol'
import type { Uv } from './uv.js'

/** pip says what is set for it in this time, ms, or it isn't asked. */
const PIP_TIMEOUT_MS = 20_000

/**
 * Where uv is, and indexes, proxies and certificates as they are set on this computer for pip or uv. Asked for once, when
 * the first layer is made.
 */
export function uvOf(path: string | undefined, folder: string): () => Promise<Uv> {
  let found: Promise<Uv> | null = null
  return () => (found ??= look(path, folder))
}

async function look(given: string | undefined, folder: string): Promise<Uv> {
  const path = given ?? find('uv')
  if (path === undefined) throw new PekkaError('LAYERS_OFF')
  const python = find('python3')
  const listing = python === undefined ? '' : await outputOf(python, ['-m', 'pip', 'config', 'list'])
  const environment = {
    UV_CACHE_DIR: join(folder, 'uv'),
    ...process.env,
    ...uvEnvironment(parsePipConfig(listing), process.env),
    UV_PYTHON_DOWNLOADS: 'never'
  }
  return { path, environment }
}

const outputOf = (program: string, args: string[]): Promise<string> =>
  new Promise(resolve => {
    execFile(program, args, { timeout: PIP_TIMEOUT_MS }, (error, stdout) => resolve(error === null ? stdout : ''))
  })
