import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { LABEXTENSION } from '@pekka/node/setup/build'
import { labIn } from '@pekka/node/setup/python'
import type { ChildSpec } from './child.js'
import { logOf, type HousePlaces } from '../state/places.js'
import type { Reservation } from '../ports.js'

export interface JupyterInit {
  /** Held until JupyterLab is started: in the seconds before, another network would take it. */
  port: Reservation
  /** Who has it may run anything as the user; it travels in the environment, never on a command line that others can read. */
  token: string
  /** JupyterLab's root. */
  work: string
  /** PEKKA_HOME/python. */
  python: string
  env: NodeJS.ProcessEnv
}

/**
 * The file whose entries reach the page of JupyterLab: it is read anew for each page (jupyterlab_server's `LabHandler` asks its
 * configuration files for every request). The wallet writes its one-time pairing code there.
 */
export const pageConfigOf = (places: HousePlaces): string =>
  join(places.jupyter, 'page', 'labconfig', 'page_config.json')

/** JupyterLab with PEKKA's extension. All it keeps stands in PEKKA_HOME; of the user's own Jupyter only the kernels are seen. */
export function jupyterChild(places: HousePlaces, init: JupyterInit): ChildSpec {
  const { token } = init
  const { port, release } = init.port
  return {
    name: 'jupyter',
    ours: false,
    log: logOf(places, 'jupyter'),
    command: async () => {
      await prepareFolders(places)
      await writeFile(
        join(places.jupyter, 'config', 'jupyter_server_config.json'),
        JSON.stringify(serverConfig(init), null, 2)
      )
      await release()
      return {
        program: join(labIn(init.python), 'bin', 'python'),
        args: ['-m', 'jupyterlab'],
        env: environment(places, init),
        cwd: init.work
      }
    },
    ready: async (_, signal) => {
      while (!(await serves(port, token))) {
        signal.throwIfAborted()
        await new Promise(resolve => setTimeout(resolve, 100))
      }
      return { url: `http://127.0.0.1:${port}`, port }
    }
  }
}

async function prepareFolders(places: HousePlaces): Promise<void> {
  const extensions = join(places.jupyter, 'share', 'labextensions', '@pekka')
  const folders = ['config', 'page/labconfig', 'data', 'runtime', 'settings', 'workspaces', 'ipython'].map(name =>
    join(places.jupyter, name)
  )
  await Promise.all([extensions, ...folders].map(folder => mkdir(folder, { recursive: true, mode: 0o700 })))
  await writeFile(join(places.jupyter, 'page', 'labconfig', 'default_setting_overrides.json'), JSON.stringify(DEFAULTS))
  const link = join(extensions, 'jupyterlab')
  await rm(link, { force: true, recursive: true })
  if (existsSync(LABEXTENSION)) await symlink(LABEXTENSION, link)
}

/** JupyterLab's own defaults that we change: its question about news would cover the first cell's output. */
const DEFAULTS = { '@jupyterlab/apputils-extension:notification': { fetchNews: 'false' } }

const serverConfig = ({ port, work, env }: JupyterInit): object => ({
  ServerApp: {
    ip: '127.0.0.1',
    port: port.port,
    // it was held until now, and other processes have been told it
    port_retries: 0,
    root_dir: work,
    open_browser: false,
    allow_root: process.getuid?.() === 0,
    // the house stops it, without a question on a terminal
    answer_yes: true,
    quit_button: false
  },
  LabApp: { news_url: null, check_for_updates_class: 'jupyterlab.NeverCheckForUpdate' },
  // looking for language servers runs npm and costs a second of the start; none is installed here
  LanguageServerManager: { autodetect: false },
  KernelSpecManager: { kernel_dirs: kernelFolders(env) },
  ServerProxy: { host_allowlist: ['127.0.0.1', 'localhost'] }
})

/** Where the user's own kernels are, as a Jupyter of theirs would look for them (jupyter_core.paths). */
function kernelFolders(env: NodeJS.ProcessEnv): string[] {
  const own = env.JUPYTER_DATA_DIR ?? join(env.XDG_DATA_HOME ?? join(homedir(), '.local', 'share'), 'jupyter')
  const paths = (env.JUPYTER_PATH ?? '').split(delimiter).filter(path => path !== '')
  return [...paths, own, '/usr/local/share/jupyter', '/usr/share/jupyter'].map(path => join(path, 'kernels'))
}

function environment(places: HousePlaces, { token, env }: JupyterInit): NodeJS.ProcessEnv {
  const here = (name: string): string => join(places.jupyter, name)
  const { PYTHONDONTWRITEBYTECODE: _, ...rest } = env
  return {
    ...rest,
    JUPYTER_TOKEN: token,
    JUPYTER_PATH: here('share'),
    JUPYTER_CONFIG_DIR: here('config'),
    JUPYTER_CONFIG_PATH: here('page'),
    JUPYTER_DATA_DIR: here('data'),
    JUPYTER_RUNTIME_DIR: here('runtime'),
    JUPYTERLAB_SETTINGS_DIR: here('settings'),
    JUPYTERLAB_WORKSPACES_DIR: here('workspaces'),
    IPYTHONDIR: here('ipython')
  }
}

async function serves(port: number, token: string): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/api/status`, {
      headers: { authorization: `token ${token}` },
      signal: AbortSignal.timeout(2000)
    })
    await answer.arrayBuffer()
    // another server on this port would refuse our token
    return answer.ok
  } catch {
    return false
  }
}
