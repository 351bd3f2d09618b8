import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { StepError } from '@pekka/node/setup/steps'
import { z } from 'zod'
import type { HousePlaces } from './places.js'

/** What the owner of a home may say of its bridge; the bridge itself checks what stands within (docs/packages.md). */
const schema = z.strictObject({ layers: z.looseObject({}).default({}), inputs: z.looseObject({}).default({}) })

/** Which servers may be asked for data, how old a release must be: `PEKKA_HOME/bridge.json`, where there is one. @throws StepError */
export async function ownBridgeSettings({ home }: HousePlaces): Promise<z.infer<typeof schema>> {
  const text = await readFile(join(home, 'bridge.json'), 'utf8').catch(() => '{}')
  try {
    return schema.parse(JSON.parse(text))
  } catch (error) {
    const [issue] = error instanceof z.ZodError ? error.issues : []
    const reason = issue === undefined ? 'it is no JSON' : `${issue.path.join('.')} ${issue.message}`.trim()
    throw new StepError({ step: 'Ledger, bridge', reason: `bridge.json is not understood: ${reason}` })
  }
}
