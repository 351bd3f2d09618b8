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

/** How well a wheel's tags (PEP 425) suit: built for this very Python before any; 0: not at all. */
function suits(file: string, python: string): number {
  const [, tags = '', abis = '', platforms = ''] = /-([^-]+)-([^-]+)-([^-]+)\.whl$/.exec(file) ?? []
  const own = `cp${python.replace('.', '')}`
  const minor = Number(python.split('.')[1])
  const names = tags.split('.')
  if (names.includes(own) && abis.split('.').includes(own)) return 4
  const stable = names.some(tag => /^cp3\d+$/.test(tag) && Number(tag.slice(3)) <= minor)
  if (stable && abis.split('.').includes('abi3')) return 3
  if (
    !abis.split('.').includes('none') ||
    !names.some(tag => tag === own || tag === 'py3' || tag === own.replace('cp', 'py'))
  )
    return 0
  return platforms === 'any' ? 1 : 2
}

/**
 * Reads what `uv pip compile --format pylock.toml` writes (PEP 751) for one platform, and takes of each package the wheel
 * that suits this Python best.
 * @param python `3.11`
 * @throws Error for anything else
 */
export function readLock(text: string, python: string): LockedWheel[] {
  return text
    .split(/^\[\[packages\]\]$/m)
    .slice(1)
    .map(part => {
      const word = (key: string): string | undefined => new RegExp(`^${key} = "([^"\\\\]+)"$`, 'm').exec(part)?.[1]
      const [name, version] = [word('name'), word('version')]
      if (name === undefined || version === undefined) throw new Error('a package without name or version')
      const wheels = /^wheels = \[([^]*?)\]\s*$/m.exec(part)?.[1] ?? ''
      const found = [...wheels.matchAll(/\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}/g)].map(([entry]) => readWheel(entry))
      const best = found
        .map(wheel => ({ wheel, score: wheel === null ? 0 : suits(wheel.file, python) }))
        .filter(({ score }) => score > 0)
        // Of two that suit alike the one for the newer system library, which stands later by name.
        .sort((a, b) => b.score - a.score || ((a.wheel?.file ?? '') < (b.wheel?.file ?? '') ? 1 : -1))[0]?.wheel
      if (!best) throw new Error(`none of the ${found.length} wheels of ${name} suits`)
      return { name: normalPackageName(name), version, ...best }
    })
}

function readWheel(entry: string): Pick<LockedWheel, 'file' | 'url' | 'hash' | 'size'> | null {
  const url = /\burl = "([^"\\]+)"/.exec(entry)?.[1]
  const hash = /\bsha256 = "([0-9a-f]{64})"/.exec(entry)?.[1]
  if (url === undefined || hash === undefined) return null
  const size = /\bsize = (\d+)/.exec(entry)?.[1]
  const file = decodeURIComponent(new URL(url).pathname.split('/').pop() ?? '')
  return { file, url, hash: fromHex(hash), size: size === undefined ? null : Number(size) }
}
