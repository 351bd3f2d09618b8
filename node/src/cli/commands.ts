import type { Command } from 'commander'
import { uvIn } from '@pekka/node/setup/python'
import type { ImageCommandContext } from './commands/image.js'
import type { CliContext } from './context.js'

/** A command's module. It is imported only when its command is called, so that `pekka --help` and `pekka run` stay quick. */
export interface CommandModule {
  /** Adds the command of this name, with its options and its action, to the program. */
  register: (program: Command, context: CliContext) => void
}

export interface CommandEntry {
  name: string
  /** One line for `pekka --help`. */
  summary: string
  load: () => Promise<CommandModule>
  /** Left out of `pekka --help`. */
  hidden?: true
}

/** All commands, in the order of `pekka --help`. `doctor` is the launcher's own: it also works where nothing is set up. */
export const COMMANDS: readonly CommandEntry[] = [
  { name: 'up', summary: 'start PEKKA and JupyterLab on this computer', load: () => import('./house/commands/up.js') },
  { name: 'run', summary: 'run FILE.py or FILE.ipynb on the network', load: () => import('./commands/run.js') },
  { name: 'tasks', summary: 'the tasks of this account', load: () => import('./commands/tasks.js') },
  { name: 'cancel', summary: 'cancel a task', load: () => import('./commands/cancel.js') },
  { name: 'receipt', summary: 'how a task was run and paid', load: () => import('./commands/receipt.js') },
  { name: 'verify', summary: 'check a receipt', load: () => import('./commands/verify.js') },
  { name: 'pair', summary: 'connect a browser to the wallet', load: () => import('./commands/pair.js') },
  { name: 'run', summary: 'run FILE.py or FILE.ipynb on the network', load: () => import('./commands/run.js') },
  { name: 'tasks', summary: 'your tasks', load: () => import('./commands/tasks.js') },
  { name: 'cancel', summary: 'stop a task', load: () => import('./commands/cancel.js') },
  { name: 'receipt', summary: "a task's receipt", load: () => import('./commands/receipt.js') },
  {
    name: 'verify',
    summary: 'check every signature and hash of a receipt',
    load: () => import('./commands/verify.js')
  },
  { name: 'pair', summary: 'a one-time code that connects a browser', load: () => import('./commands/pair.js') },
  { name: 'down', summary: 'stop what runs here', load: () => import('./house/commands/down.js') },
  { name: 'reset', summary: 'start over with an empty network', load: () => import('./house/commands/reset.js') },
  {
    name: 'logs',
    summary: 'what a task printed; without a task, what the processes log',
    load: () => import('./house/commands/logs.js')
  },
  {
    name: 'image',
    summary: 'the environments that tasks run in: build, list, verify',
    load: async () => {
      const { imageCommand } = await import('./commands/image.js')
      return { register: (program, context) => void program.addCommand(imageCommand(imageContext(context))) }
    }
  },
  {
    name: 'doctor',
    summary: 'each part: version, place, what is missing, how to get it',
    load: () => import('./house/commands/doctor.js')
  },
  { name: 'serve', summary: '', hidden: true, load: () => import('./house/commands/serve.js') }
]

const imageContext = ({ home, places, env, json, result, say }: CliContext): ImageCommandContext => ({
  home,
  json,
  uv: async () => env.PEKKA_UV ?? uvIn(places.tools),
  out: result,
  err: say
})
