import { fromHex, normalPackageName } from '@pekka/node/protocol'

/** One wheel that a resolver chose. */
export interface LockedWheel {
  name: string
  version: string
  file: string
  /** `https://…` or `file:///…`. */
  url: string
  hash: Uint8Array
  /** Bytes, where the index says it. */
  size: number | null
}

/**
 * Reads what `uv pip compile --format pylock.toml` writes (PEP 751) for one platform: a wheel a package.
 * @throws Error for anything else
 */
export function readLock(text: string): LockedWheel[] {
  return text
    .split(/^\[\[packages\]\]$/m)
    .slice(1)
    .map(part => {
      const word = (key: string): string | undefined => new RegExp(`^${key} = "([^"\\\\]+)"$`, 'm').exec(part)?.[1]
      const [name, version] = [word('name'), word('version')]
      const wheels = /^wheels = \[([^]*?)\]\s*$/m.exec(part)?.[1] ?? ''
      const found = [...wheels.matchAll(/\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}/g)].map(([entry]) => entry)
      const [entry] = found
      const url = /\burl = "([^"\\]+)"/.exec(entry ?? '')?.[1]
      const hash = /\bsha256 = "([0-9a-f]{64})"/.exec(entry ?? '')?.[1]
      if (name === undefined || version === undefined) throw new Error('a package without name or version')
      if (found.length !== 1 || url === undefined || hash === undefined)
        throw new Error(`${name} has ${found.length} wheels, not one with address and hash`)
      const size = /\bsize = (\d+)/.exec(entry ?? '')?.[1]
      const file = decodeURIComponent(new URL(url).pathname.split('/').pop() ?? '')
      return {
        ...{ name: normalPackageName(name), version, file, url },
        hash: fromHex(hash),
        size: size === undefined ? null : Number(size)
      }
    })
}
