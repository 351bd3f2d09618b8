import { createInterface } from 'node:readline/promises'
import type { CliContext } from '../context.js'

/** Asks a question that ends in `[y/N]`. Null where nobody looks at a terminal, or answers are JSON: nobody is asked then. */
export async function askYes(context: CliContext, question: string): Promise<boolean | null> {
  if (!process.stdin.isTTY || context.json) return null
  const asking = createInterface({ input: process.stdin, output: context.stderr })
  try {
    const answer = await asking.question(question, { signal: context.signal })
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    asking.close()
  }
}
