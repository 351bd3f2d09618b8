import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createImageStore, type ImageStore } from '@pekka/node/host/images'
import { ROOT, placesIn } from '@pekka/node/setup/places'
import { uvIn, withUv } from '@pekka/node/setup/python'
import type { TestNetwork } from '../../../node/test/support/network.js'

/** The example of each field, and how the line ends that states its result. */
export const EXAMPLES = {
  base: { notebook: 'pendulum-fit.ipynb', result: /^g = 9\.8\d+ ± 0\.00\d+ m\/s², reduced chi² = [01]\.\d+$/m },
  chemistry: {
    notebook: 'conformers.ipynb',
    result: /^mean energy above the lowest shape: \d\.\d+ kcal\/mol; .* r = 0\.\d+$/m
  },
  biology: { notebook: 'genes-and-cells.ipynb', result: /adjusted Rand index\): [01]\.\d+$/m },
  telecommunications: {
    notebook: 'bit-errors.ipynb',
    result: /^coding gain at a bit error rate of 1e-3: [0-3]\.\d+ dB$/m
  },
  'machine-learning': { notebook: 'digits.ipynb', result: /^accuracy on 540 unseen pictures: 0\.9\d+ ± 0\.0\d+$/m },
  rendering: { notebook: 'scene.ipynb', result: /^light that needs more than one bounce: \d+\.\d+ %$/m }
} as const

export type Field = keyof typeof EXAMPLES

/** The images of a home, as the command line builds them. */
export function imagesOf(home: string): ImageStore {
  const { tools } = placesIn(home)
  const log = { info: () => undefined, warn: (_: object, text: string) => console.log(`      ${text}`) }
  return createImageStore(
    { uv: async () => uvIn(tools), uvEnvironment: withUv({ tools, home }), log },
    { home, definitions: join(ROOT, 'sandbox-images') }
  )
}

interface Output {
  output_type: string
  text?: string | string[]
  data?: Record<string, string | string[]>
}

/** Runs a field's example on the network and checks that it ends in a table, a picture and its number. Resolves with ms and that line. */
export async function runExample(network: TestNetwork, field: Field): Promise<{ ms: number; line: string }> {
  const { notebook, result } = EXAMPLES[field]
  const out = join(network.places.home, `out-${notebook}`)
  const source = await readFile(join(ROOT, 'notebooks', notebook))
  const begun = performance.now()
  const run = await network.run(notebook, source, '--image', field, '--out', out)
  const ms = performance.now() - begun
  assert.equal(run.code, 0, run.stderr)
  const cells: { cell_type: string; outputs?: Output[] }[] = JSON.parse(await readFile(out, 'utf8')).cells
  const outputs = cells.flatMap(cell => cell.outputs ?? [])
  const kinds = outputs.flatMap(output => Object.keys(output.data ?? {}))
  assert.ok(kinds.includes('text/html'), 'a table')
  assert.ok(kinds.includes('image/png'), 'a picture')
  const text = outputs.map(output => [output.text ?? ''].flat().join('')).join('\n')
  const [line] = result.exec(text) ?? []
  assert.ok(line !== undefined, text)
  return { ms, line }
}
