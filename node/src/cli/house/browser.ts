import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { find } from '@pekka/node/setup/search'

/** Whether somebody sits in front of a desktop and started us from a terminal of it. */
export const onDesktop = (env: NodeJS.ProcessEnv, terminal: boolean): boolean =>
  terminal && Boolean(env.DISPLAY ?? env.WAYLAND_DISPLAY) && !env.SSH_CONNECTION

/**
 * Opens an address in the user's browser. It goes through a file that only the user can read: a command line would show the token to
 * everyone on this computer.
 */
export async function openBrowser(url: string, file: string): Promise<void> {
  const opener = find('xdg-open')
  if (opener === undefined) return
  await writeFile(
    file,
    `<!doctype html><meta http-equiv="refresh" content="0; url=${url.replaceAll('"', '&quot;')}">\n`,
    { mode: 0o600 }
  )
  spawn(opener, [file], { stdio: 'ignore', detached: true })
    .on('error', () => undefined)
    .unref()
}
