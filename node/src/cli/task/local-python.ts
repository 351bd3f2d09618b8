import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'
import { PekkaError } from '../../core/protocol/index.js'
import { localPackagesCode, readLocalPackages, type LocalPackages } from '../../core/scan/index.js'

/** A Python that the user names and that doesn't answer by then is given up, ms. */
const NAMED_MS = 20_000
/** The same of one that was only found: a run doesn't wait for it. */
const FOUND_MS = 3000

/**
 * The Python that a user would run: that of the environment which the shell has activated, else the first `python3` of PATH. Null: there
 * is none, or only one that stands in for an installer.
 */
export async function findPython(env: NodeJS.ProcessEnv, platform = process.platform): Promise<string | null> {
  const windows = platform === 'win32'
  const own = [
    ...folders(env['VIRTUAL_ENV']).map(folder => join(folder, windows ? 'Scripts' : 'bin')),
    ...folders(env['CONDA_PREFIX']).map(folder => (windows ? folder : join(folder, 'bin')))
  ].map(folder => join(folder, windows ? 'python.exe' : 'python'))
  const path = folders(env['PATH']).map(folder => join(folder, windows ? 'python.exe' : 'python3'))
  for (const file of [...own, ...path]) {
    // Without the developers' tools macOS opens a window instead of answering; Windows opens its store.
    if ((platform === 'darwin' && file === '/usr/bin/python3') || (windows && file.includes('WindowsApps'))) continue
    if (
      await access(file, constants.X_OK).then(
        () => true,
        () => false
      )
    )
      return file
  }
  return null
}

/** Absolute ones: a relative entry of PATH would run what lies beside the program. */
const folders = (text: string | undefined): string[] => (text ?? '').split(delimiter).filter(isAbsolute)

/** What a Python that the user names has of some modules. @throws PekkaError USAGE */
export async function askPython(python: string, modules: readonly string[]): Promise<LocalPackages> {
  const answer = await answerOf(python, modules, NAMED_MS).catch((error: unknown) => {
    throw new PekkaError('USAGE', { issue: `--python ${python} can’t be asked for its packages.` }, { cause: error })
  })
  const local = readLocalPackages(answer)
  if (local === undefined) throw new PekkaError('USAGE', { issue: `--python ${python} is no Python 3.10 or newer.` })
  return local
}

/**
 * What the user's Python has of some modules, by metadata alone. What it lacks says nothing, for nobody has named it: the program may be
 * run with another. Undefined where it doesn't answer soon.
 */
export async function askFound(python: string, modules: readonly string[]): Promise<LocalPackages | undefined> {
  const answer = await answerOf(python, modules, FOUND_MS).catch(() => '')
  const local = readLocalPackages(answer)
  if (local === undefined) return undefined
  return { ...local, modules: new Map([...local.modules].filter(([, found]) => found !== null)) }
}

/** Isolated: no code of the folder, of the user's site or of PYTHON… variables runs for it. */
function answerOf(python: string, modules: readonly string[], timeout: number): Promise<string> {
  const code = `${localPackagesCode(modules)}\nprint(result)`
  return new Promise((resolve, reject) => {
    execFile(python, ['-I', '-c', code], { timeout, killSignal: 'SIGKILL', maxBuffer: 1 << 24 }, (error, stdout) => {
      if (error) reject(error)
      else resolve(stdout)
    })
  })
}
