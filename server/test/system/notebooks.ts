import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
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

/** Images of the fields for a test network, and the folder that holds them. */
export interface FieldImages {
  store: ImageStore
  /** For `TestNetwork.start`. */
  folder: string
}

/**
 * A home of its own for the images of the fields, in the cache of the prepared one, so that a second run finds them; its `base` is that of the
 * prepared home. They are kept apart because every provider offers what is built in its home, and other tests say what is offered.
 */
export async function fieldImages(prepared: string): Promise<FieldImages> {
  const { tools } = placesIn(prepared)
  const home = join(prepared, 'cache', 'fields')
  const folder = join(home, 'images')
  await mkdir(folder, { recursive: true })
  await symlink(join(prepared, 'cache'), join(home, 'cache')).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const log = { info: () => undefined, warn: (_: object, text: string) => console.log(`      ${text}`) }
  const storeIn = (at: string): ImageStore =>
    createImageStore(
      { uv: async () => uvIn(tools), uvEnvironment: withUv({ tools, home: prepared }), log },
      { home: at, definitions: join(ROOT, 'sandbox-images') }
    )
  const base = await storeIn(prepared).get('base')
  if (base !== undefined) {
    const from = dirname(base.root)
    const to = join(folder, basename(from))
    if (!existsSync(to)) {
      await promisify(execFile)('cp', ['-al', from, `${to}.new`])
      await rename(`${to}.new`, to)
    }
  }
  return { store: storeIn(home), folder }
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
