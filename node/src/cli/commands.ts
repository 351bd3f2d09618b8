import type { Command } from 'commander'
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
  {
    name: 'session',
    summary: 'keep a machine, so that later cells see what earlier ones made',
    load: () => import('./commands/session.js')
  },
  { name: 'tasks', summary: 'your tasks', load: () => import('./commands/tasks.js') },
  { name: 'artifacts', summary: 'fetch the files that a task wrote', load: () => import('./commands/artifacts.js') },
  { name: 'cancel', summary: 'stop a task', load: () => import('./commands/cancel.js') },
  { name: 'receipt', summary: "a task's receipt", load: () => import('./commands/receipt.js') },
  {
    name: 'verify',
    summary: 'check every signature and hash of a receipt',
    load: () => import('./commands/verify.js')
  },
  {
    name: 'ledger',
    summary: 'the ledger: tail, tx, account; proofs of what it says: prove, verify; its witnesses: status',
    load: () => import('./commands/ledger.js')
  },
  {
    name: 'account',
    summary: 'your account: show, transfer, rotate its key, share it (k of n), recover it',
    load: () => import('./commands/account.js')
  },
  { name: 'pair', summary: 'a one-time code that connects a browser', load: () => import('./commands/pair.js') },
  {
    name: 'invite',
    summary: 'a one-time code with which another machine joins',
    load: () => import('./commands/invite.js')
  },
  { name: 'provider', summary: 'offer this machine to a network', load: () => import('./commands/provider.js') },
  {
    name: 'witness',
    summary: 'run a witness of a network whose ledger several people keep',
    load: () => import('./commands/witness.js')
  },
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
    load: () => import('./commands/image.js')
  },
  {
    name: 'doctor',
    summary: 'each part: version, place, what is missing, how to get it',
    load: () => import('./house/commands/doctor.js')
  },
  { name: 'serve', summary: '', hidden: true, load: () => import('./house/commands/serve.js') }
]
