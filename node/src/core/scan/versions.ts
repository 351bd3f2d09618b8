/** Versions of Python packages (PEP 440): as much of it as comparing needs. */

interface Version {
  release: number[]
  /** Sorts before (negative), at, or after the release: dev, a, b, rc, final, post. */
  stage: number
  local: boolean
}

function parse(text: string): Version | undefined {
  const match =
    /^v?(?:\d+!)?(\d+(?:\.\d+)*)[-_.]?(?:(a|alpha|b|beta|rc|c|pre|preview)[-_.]?(\d*))?(?:[-_.]?(post|rev|r)[-_.]?(\d*)|-(\d+))?(?:[-_.]?dev[-_.]?(\d*))?(\+[\w.-]+)?$/i.exec(
      text.trim()
    )
  if (match === null) return undefined
  const [, release = '', pre, preNumber = '0', post, , plainPost, dev, local] = match
  const order = { a: -3, alpha: -3, b: -2, beta: -2, rc: -1, c: -1, pre: -1, preview: -1 }
  // The keys of `order` are what the expression allows.
  const before = pre === undefined ? 0 : order[pre.toLowerCase() as keyof typeof order] + Number(preNumber) / 1000
  const stage = dev !== undefined && pre === undefined ? -4 : before
  const after = post !== undefined || plainPost !== undefined ? 1 : 0
  return { release: release.split('.').map(Number), stage: stage + after, local: local !== undefined }
}

function compare(a: Version, b: Version): number {
  for (let i = 0; i < Math.max(a.release.length, b.release.length); i += 1) {
    const difference = (a.release[i] ?? 0) - (b.release[i] ?? 0)
    if (difference !== 0) return difference
  }
  return a.stage - b.stage
}

/** Whether `version` is one that `specifier` (`>=2,<3`) allows. What can't be read allows everything: it is no ground to refuse. */
export function allows(specifier: string, version: string): boolean {
  const have = parse(version)
  if (have === undefined) return true
  return specifier.split(',').every(clause => {
    const match = /^\s*(===|==|~=|!=|<=|>=|<|>)\s*(\S+?)\s*$/.exec(clause)
    if (match === null) return true
    const [, operator, text = ''] = match
    const prefix = /^(.*)\.\*$/.exec(text)?.[1]
    const wanted = parse(prefix ?? text)
    if (wanted === undefined) return true
    const same = (length: number): boolean =>
      wanted.release.slice(0, length).every((number, index) => (have.release[index] ?? 0) === number)
    const order = compare(have, wanted)
    switch (operator) {
      case '==':
      case '===':
        return prefix === undefined ? order === 0 : same(wanted.release.length)
      case '!=':
        return prefix === undefined ? order !== 0 : !same(wanted.release.length)
      case '~=':
        return order >= 0 && same(wanted.release.length - 1)
      case '<=':
        return order <= 0
      case '>=':
        return order >= 0
      case '<':
        // 2.0rc1 isn't what `<2` means.
        return order < 0 && !(have.stage < 0 && compare({ ...have, stage: 0 }, { ...wanted, stage: 0 }) === 0)
      default:
        return order > 0
    }
  })
}

/** Whether no version that two specifiers name, nor one beside it, is one that both allow. */
export function contradict(one: string, other: string): boolean {
  if (one === '' || other === '') return false
  const named = [...`${one},${other}`.matchAll(/[=<>]\s*([^\s,=<>]+)/g)].map(([, text = '']) =>
    text.replace(/\.\*$/, '')
  )
  return !['0', ...named.flatMap(text => [text, `${text}.1`])].some(version => allows(`${one},${other}`, version))
}

/** The part of a version that says whether programs may break: `2` of 2.3.3, `0.12` of 0.12.1. */
export function breakingPart(version: string): string | undefined {
  const release = parse(version)?.release
  if (release === undefined) return undefined
  const [major = 0, minor = 0] = release
  return major === 0 ? `0.${minor}` : String(major)
}

/** `3.12` of `3.12.4`. */
export const minorOf = (version: string): string | undefined => /^(\d+\.\d+)/.exec(version)?.[1]

/** Versions of one distribution that differ so much that programs may break (SemVer's habit; calendar years count as such). */
export function breaks(one: string, other: string): boolean {
  const [a, b] = [breakingPart(one), breakingPart(other)]
  return a !== undefined && b !== undefined && a !== b
}
