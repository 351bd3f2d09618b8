import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { createImageStore } from '@pekka/node/host/images'
import { PekkaError, equalBytes, fromHex, normalPackageName } from '@pekka/node/protocol'

/** What a layer must fit to. */
export interface ImagePins {
  /** `3.11`. */
  python: string
  /** As uv calls it: `x86_64-manylinux_2_36`. */
  platform: string
  /** The image's lock, as a file of constraints. */
  lockFile: string
  /** Version of each package, by normal name. */
  versions: ReadonlyMap<string, string>
  /** What the image was made from, as requirements. */
  requested: readonly string[]
}

export interface PinsSource {
  /** @throws PekkaError LAYER_IMAGE_UNKNOWN */
  of(name: string, digest: Uint8Array): Promise<ImagePins>
  /** Names of packages that people know: those of all images. */
  known(): Promise<ReadonlySet<string>>
}

const definitionSchema = z.object({ python: z.string(), platform: z.string() })

/** Reads the definitions of this checkout; one whose digest is another than asked for is another image. */
export function definitionsIn(folder: string, home: string): PinsSource {
  const images = createImageStore(
    { uv: () => Promise.reject(new Error('nothing is built here')), log: { info: () => {}, warn: () => {} } },
    { home, definitions: folder }
  )
  const lockOf = async (name: string) => {
    const lockFile = join(folder, name, 'requirements.lock')
    const locked = (await readFile(lockFile, 'utf8')).matchAll(/^([A-Za-z0-9][\w.-]*)==([^\s\\;]+)/gm)
    return { lockFile, versions: new Map([...locked].map(([, one = '', v = '']) => [normalPackageName(one), v])) }
  }
  return {
    async of(name, digest) {
      const known = (await images.names()).includes(name) ? await images.digest(name) : null
      if (known === null || !equalBytes(fromHex(known), digest))
        throw new PekkaError('LAYER_IMAGE_UNKNOWN', { image: name })
      const [definition, input, lock] = await Promise.all([
        readFile(join(folder, name, 'image.json'), 'utf8'),
        readFile(join(folder, name, 'packages.in'), 'utf8'),
        lockOf(name)
      ])
      const { python, platform } = definitionSchema.parse(JSON.parse(definition))
      const requested = input
        .split('\n')
        .map(line => line.replace(/#.*/, '').trim())
        .filter(line => line !== '' && !line.startsWith('-'))
      return { python, platform, ...lock, requested }
    },
    async known() {
      const locks = await Promise.all((await images.names()).map(name => lockOf(name).catch(() => null)))
      return new Set(locks.flatMap(lock => [...(lock?.versions.keys() ?? [])]))
    }
  }
}
