/** Where packages come from that the usual index doesn't have. */
export interface PackageSources {
  /** Arguments of uv. */
  args: string[]
  /** Whether any is set at all, by us or in uv's own variables. */
  any: boolean
}

/** Variables of uv that name further places to look in. The command line fills them from pip's configuration. */
const FURTHER_PLACES = ['UV_FIND_LINKS', 'UV_INDEX', 'UV_EXTRA_INDEX_URL'] as const

/** What PEKKA_FIND_LINKS and PEKKA_EXTRA_INDEX_URL name (separated by blanks), beside what uv is told anyway. */
export function packageSources(environment: NodeJS.ProcessEnv): PackageSources {
  const words = (text: string | undefined): string[] => (text ?? '').split(/\s+/).filter(word => word !== '')
  const args = [
    ...words(environment.PEKKA_FIND_LINKS).flatMap(place => ['--find-links', place]),
    ...words(environment.PEKKA_EXTRA_INDEX_URL).flatMap(address => ['--extra-index-url', address])
  ]
  return { args, any: args.length > 0 || FURTHER_PLACES.some(name => words(environment[name]).length > 0) }
}

/** The environment without further places: a lock states what the usual index has, so that its hashes hold for everyone. */
export const usualIndexOnly = (environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !FURTHER_PLACES.some(place => place === name)))
