import { size, type PekkaClient } from '../../core/client/index.js'
import type { Input } from '../../core/protocol/index.js'
import type { CliContext } from '../context.js'

/** Has the bridge fetch what `--input` names, before anything costs. */
export async function fetchInputs(
  context: CliContext,
  client: PekkaClient,
  wanted: readonly { url: string; path: string }[]
): Promise<Input[]> {
  const inputs: Input[] = []
  for (const { url, path } of wanted) {
    context.say(`Fetching ${url} …`)
    const input = await client.fetchInput(url, path, context.signal)
    context.say(`Fetched: ${path} (${size(input.size)})`)
    inputs.push(input)
  }
  return inputs
}
