/** The few programs of the system that bubblewrap's runtime starts. */
import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Where system tools are. Not the provider's own PATH: a sandbox's first process shows what it was started with. */
export const TOOL_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Absolute path of a program: in {@link TOOL_PATH}, else where this process would find it. */
export function findTool(name: string): string | undefined {
  return [...TOOL_PATH.split(delimiter), ...(process.env.PATH ?? '').split(delimiter)]
    .filter(directory => directory.startsWith('/'))
    .map(directory => join(directory, name))
    .find(file => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

export interface ToolResult {
  code: number
  stdout: string
  stderr: string
}

/** Runs a short command to its end. Doesn't reject: a program that isn't there has code 127. */
export function runTool(name: string, args: readonly string[], signal?: AbortSignal): Promise<ToolResult> {
  return new Promise(resolve => {
    const child = spawn(name, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: TOOL_PATH, LC_ALL: 'C' },
      signal
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    child.once('error', error => resolve({ code: 127, stdout, stderr: error.message }))
    child.once('close', code => resolve({ code: code ?? 137, stdout, stderr: stderr.trim() }))
  })
}
