import type { Command } from 'commander'
import { join } from 'node:path'
import { size } from '../../core/client/index.js'
import { PekkaError, shortId, toHex } from '../../core/protocol/index.js'
import type { CliContext } from '../context.js'
import { RESULTS, placeFiles, shownPath, type ReturnedFile } from '../task/artifacts.js'
import { SHOWN_ID } from '../task/outcome.js'
import { findTask, withSession } from '../task/session.js'

export function register(program: Command, context: CliContext): void {
  program
    .command('artifacts')
    .description('fetch the files that a task wrote')
    .argument('<task>', 'its id, or the beginning of it')
    .option('--to <folder>', 'put them here; nothing is overwritten')
    .option('--list', 'only say which')
    .option('--json', 'one JSON object a line')
    .action(async (prefix: string, options: { to?: string; list?: true }) => {
      process.exitCode = await artifacts(context, prefix, options)
    })
}

async function artifacts(context: CliContext, prefix: string, options: { to?: string; list?: true }): Promise<number> {
  return await withSession(context, async ({ client }) => {
    const { task } = await findTask(client, prefix)
    const files: ReturnedFile[] = []
    const follower = await client.follow(task, {
      reset: () => files.splice(0),
      events: events => {
        for (const event of events) if (event.type === 'files') files.push(...event.files)
      }
    })
    try {
      const ended = await Promise.race([follower.ended, stopped(context)])
      if (ended === null) return 130
      if (ended.phase.phase === 'mismatch') throw new PekkaError('HEAD_MISMATCH')
      if (files.length === 0) {
        context.say('This task wrote no files.')
        return 0
      }
      if (options.list === true) {
        for (const file of files) {
          const hash = file.hash === undefined ? null : toHex(file.hash)
          context.result(
            context.json
              ? { name: file.name, size: file.size, sha256: hash }
              : `${printable(file.name)}  ${size(file.size)}  ${hash === null ? 'stayed there: too large' : `sha256 ${hash}`}`
          )
        }
        return 0
      }
      const folder = options.to ?? join(process.cwd(), RESULTS, shortId(task, SHOWN_ID))
      const placed = await placeFiles(follower, files, { folder })
      for (const { name, size: bytes, path, why } of placed)
        context.result(
          context.json
            ? { name, size: bytes, path, why }
            : path === null
              ? `${printable(name)}: ${why}`
              : `${shownPath(path, process.cwd())}  ${size(bytes)}`
        )
      return placed.every(({ path }) => path !== null) ? 0 : 1
    } finally {
      follower.stop()
    }
  })
}

const stopped = (context: CliContext): Promise<null> =>
  new Promise(resolve => context.signal.addEventListener('abort', () => resolve(null), { once: true }))

/** A name as it may be shown: what a machine calls a file can hold colours and cursor moves. */
export const printable = (name: string): string => name.replace(/\p{C}/gu, '\ufffd')
