import { PekkaError } from '../protocol/index.js'
import { contradict } from './versions.js'

/** A package that somebody named, beside the imports. */
export interface Requirement {
  /** As the index writes it: lower case, single hyphens. */
  distribution: string
  extras: string[]
  /** PEP 440, normalised: `>=2,<3`, or ''. */
  specifier: string
  /** Environment marker, or ''. */
  marker: string
  /** PEP 723 block, an install line, or a file beside the script. */
  from: 'script' | 'install' | 'requirements'
  line: number
  /** Id of the cell or name of the file. */
  source: string
}

/** What a file beside a script says. */
export interface RequirementsFile {
  requirements: Requirement[]
  requiresPython: string | undefined
  /** Exact versions (lock files): what the user's own environment has. */
  versions: ReadonlyMap<string, string>
  /** Files that `-r` and `-c` name, relative to this one. */
  includes: string[]
}

/** PEP 503. */
export const normalName = (name: string): string => name.toLowerCase().replace(/[-_.]+/g, '-')

const NAME = '[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?'
const CLAUSE = '(?:===|==|~=|!=|<=|>=|<|>)\\s*[A-Za-z0-9._*+!-]+'
const REQUIREMENT = new RegExp(
  `^(${NAME})\\s*(?:\\[([^\\]]*)\\])?\\s*(?:\\(?\\s*(${CLAUSE}(?:\\s*,\\s*${CLAUSE})*)\\s*,?\\s*\\)?)?\\s*(?:;\\s*(.*))?$`
)

/** A requirement of PEP 508, without its place. Undefined for URLs, paths and rubbish. */
export function parseRequirement(
  text: string
): Pick<Requirement, 'distribution' | 'extras' | 'specifier' | 'marker'> | undefined {
  const match = REQUIREMENT.exec(text.trim())
  if (match === null) return undefined
  const [, name = '', extras = '', specifier = '', marker = ''] = match
  return {
    distribution: normalName(name),
    extras: extras
      .split(',')
      .map(extra => extra.trim().toLowerCase())
      .filter(extra => extra !== ''),
    specifier: specifier.replace(/\s+/g, ''),
    marker: marker.trim()
  }
}

/** Options of pip, uv and conda that take a value in the next word. */
const WITH_VALUE = new Set([
  ...['-c', '-r', '-e', '-i', '-f', '-t', '-n', '-p', '-C'],
  ...(
    'constraint requirement editable index-url extra-index-url find-links target name prefix channel python index default-index ' +
    'upgrade-package upgrade-strategy trusted-host timeout retries only-binary no-binary progress-bar root-user-action cache-dir log ' +
    'src root proxy cert client-cert platform python-version implementation abi report exists-action use-feature use-deprecated ' +
    'config-settings global-option keyring-provider prerelease resolution index-strategy link-mode exclude-newer extra group file ' +
    'solver torch-backend'
  )
    .split(' ')
    .map(name => `--${name}`)
])

/** Options that name where packages come from. */
const FROM = /^(?:-i|-f|--(?:index-url|extra-index-url|default-index|index|find-links))(?:=(.*))?$/
/** Where every package has the name that the public index knows. */
const PUBLIC = /^(?:[\w-]+=)?["']?https?:\/\/(?:pypi\.org|download\.pytorch\.org)(?:[:/"']|$)/i

/** Whether a command takes packages from elsewhere too: what it names may be another's package, or nobody's, on the public index. */
const fromElsewhere = (words: readonly string[]): boolean =>
  words.some((word, index) => {
    const option = FROM.exec(word)
    const place = option === null ? '' : (option[1] ?? words[index + 1] ?? '')
    return /:\/\/|[{$]/.test(place) && !PUBLIC.test(place)
  })

/** `numpy=1.26` of conda is any 1.26, and `numpy=1.26.4=py311_0` that one. */
const condaVersion = (word: string): string =>
  word.replace(/^([\w.-]+)=(?!=)([\w.*]+)(=.*)?$/, (_, name: string, text: string, build: string | undefined) => {
    const version = text.replace(/[.*]+$/, '')
    if (version === '') return name
    return build === undefined && /^[\d.]+$/.test(version) ? `${name}==${version}.*` : `${name}==${version}`
  })

/**
 * The packages of `pip install a 'b>=2' -q`. URLs, paths and files that it names are left out: they don't travel. So are names of another
 * index.
 */
export function parseInstall(command: string): Omit<Requirement, 'line' | 'source'>[] {
  const words = [...command.replace(/\s#.*$/, '').matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? ''
  )
  const end = words.findIndex(word => /^(&&|\|\||;|\||>.*|2>.*|&)$/.test(word) || word.endsWith(';'))
  const own = end < 0 ? words : [...words.slice(0, end), ...(words[end]?.match(/^[^;&|>]+(?=;$)/) ?? [])]
  const start = own.findIndex(word => word === 'install' || word === 'add') + 1
  const found: Omit<Requirement, 'line' | 'source'>[] = []
  if (fromElsewhere(own)) return found
  for (let i = start; i < own.length; i += 1) {
    const word = own[i] ?? ''
    if (WITH_VALUE.has(word)) i += 1
    else if (!word.startsWith('-') && !/[/\\{}$]|^\.|:/.test(word) && !ARCHIVE.test(word)) {
      const requirement = parseRequirement(condaVersion(word))
      // pip is not a package that a program needs.
      if (requirement && !INSTALLERS.has(requirement.distribution)) found.push({ ...requirement, from: 'install' })
    }
  }
  return found
}

const ARCHIVE = /\.(whl|zip|tar\.gz|tgz)(\[.*\])?$/i

const INSTALLERS = new Set(['pip', 'setuptools', 'wheel', 'uv', 'conda', 'mamba', 'python'])

/** Without the versions of install lines that a later one contradicts: pip takes that one's. */
export function inForce(requirements: readonly Requirement[]): Requirement[] {
  const sameCommand = (one: Requirement, other: Requirement): boolean =>
    one.source === other.source && one.line === other.line
  return requirements.map((one, index) => {
    const replaced = requirements
      .slice(index + 1)
      .some(
        later =>
          one.from === 'install' &&
          later.from === 'install' &&
          later.distribution === one.distribution &&
          !sameCommand(one, later) &&
          contradict(one.specifier, later.specifier)
      )
    return replaced ? { ...one, specifier: '' } : one
  })
}

/** The PEP 723 block of a script: `# /// script … # ///`. Undefined where there is none. */
export function scriptRequirements(source: string):
  | {
      requirements: Omit<Requirement, 'source'>[]
      requiresPython: string | undefined
      /** The first entry that is no package's name: nothing else is installed for others. */
      refused: { what: string; line: number } | undefined
    }
  | undefined {
  const lines = source.split(/\r\n|\r|\n/)
  const start = lines.findIndex(line => /^# \/\/\/ script\s*$/.test(line))
  if (start < 0) return undefined
  let end = -1
  for (let i = start + 1; i < lines.length && /^#( |$)/.test(lines[i] ?? ''); i += 1)
    if (lines[i]?.trimEnd() === '# ///') end = i
  if (end < 0) return undefined
  const toml = lines.slice(start + 1, end).map(line => line.replace(/^# ?/, ''))
  const requirements: Omit<Requirement, 'source'>[] = []
  let refused: { what: string; line: number } | undefined
  for (const { value, line: index } of arrayOf(toml, null, 'dependencies')) {
    const line = start + 2 + index
    const requirement = namedPackage(value)
    if (typeof requirement === 'string') refused ??= { what: requirement, line }
    else requirements.push({ ...requirement, from: 'script', line })
  }
  return { requirements, requiresPython: textOf(toml, null, 'requires-python'), refused }
}

/**
 * Checks the PEP 723 blocks of some sources, which are named as people know them.
 *
 * @throws PekkaError INPUT_REQUIREMENTS where one asks for something else than a named package
 */
export function checkScripts(sources: readonly { name: string; source: string }[]): void {
  for (const { name, source } of sources) {
    const refused = scriptRequirements(source)?.refused
    if (refused !== undefined) throw new PekkaError('INPUT_REQUIREMENTS', { file: name, ...refused })
  }
}

/**
 * `requirements.txt`: one requirement a line, comments, continuation lines, `-r` and `-c`, hashes.
 * @throws PekkaError INPUT_REQUIREMENTS for URLs, paths and editable installs: nothing but named packages from the index is
 * installed for others
 */
export function readRequirements(text: string, file: string): RequirementsFile {
  const requirements: Requirement[] = []
  const includes: string[] = []
  let pending = ''
  text.split(/\r\n|\r|\n/).forEach((raw, index) => {
    const whole = `${pending}${raw}`
    if (/\\\s*$/.test(raw)) {
      pending = whole.replace(/\\\s*$/, ' ')
      return
    }
    pending = ''
    const line = whole.replace(/(^|\s)#.*$/, '').trim()
    if (line === '') return
    const refuse = (what: string): never => {
      throw new PekkaError('INPUT_REQUIREMENTS', { file, line: index + 1, what })
    }
    const included = /^(?:-r|--requirement|-c|--constraint)[\s=]*(\S+)$/.exec(line)?.[1]
    if (included !== undefined) {
      if (/^\w+:\/\//.test(included)) refuse(`the address ${included}`)
      includes.push(included)
      return
    }
    if (/^(-e|--editable)\b/.test(line)) refuse('an editable install')
    if (line.startsWith('-')) return
    const words = line.replace(/\s+--(hash|config-settings|global-option)[=\s]\S+/g, '').trim()
    const named = namedPackage(words)
    const requirement = typeof named === 'string' ? refuse(named) : named
    requirements.push({ ...requirement, from: 'requirements', line: index + 1, source: file })
  })
  return { requirements, requiresPython: undefined, versions: pinned(requirements), includes }
}

/** A requirement that names a package; of an address, a path and rubbish what it is. */
function namedPackage(words: string): Exclude<ReturnType<typeof parseRequirement>, undefined> | string {
  if (/^[\w.[\], -]+@\s*\S/.test(words) || /^(git\+|hg\+|svn\+|\w+:\/\/)/.test(words))
    return `the address ${shown(words)}`
  if (/^(\.|\/|~|[A-Za-z]:\\)|\.(whl|zip|tar\.gz|tgz)$/i.test(words.split(/[\s;]/)[0] ?? ''))
    return `the path ${shown(words)}`
  return parseRequirement(words) ?? `“${shown(words)}”, which isn’t a package`
}

/** Without what could be a password, and not endless. */
const shown = (text: string): string => text.replace(/\/\/[^/@\s]*@/, '//').slice(0, 80)

function pinned(requirements: readonly Requirement[]): Map<string, string> {
  const versions = new Map<string, string>()
  for (const { distribution, specifier } of requirements) {
    const version = /^={2,3}([0-9][^,*]*)$/.exec(specifier)?.[1]
    if (version !== undefined) versions.set(distribution, version)
  }
  return versions
}

/** `pyproject.toml`: the dependencies of `[project]` (and Poetry's), and the Python that it asks for. */
export function readPyproject(text: string, file: string): RequirementsFile {
  const lines = text.split(/\r\n|\r|\n/)
  const requirements: Requirement[] = []
  for (const { value, line } of arrayOf(lines, 'project', 'dependencies')) {
    const what = /@\s*\S+/.exec(value)
    if (what !== null)
      throw new PekkaError('INPUT_REQUIREMENTS', { file, line: line + 1, what: `the address ${shown(what[0])}` })
    const requirement = parseRequirement(value)
    if (requirement) requirements.push({ ...requirement, from: 'requirements', line: line + 1, source: file })
  }
  let requiresPython = textOf(lines, 'project', 'requires-python')
  for (const { key, value, line } of entriesOf(lines, 'tool.poetry.dependencies')) {
    const version = /^"([^"]*)"/.exec(value)?.[1] ?? /\bversion\s*=\s*"([^"]*)"/.exec(value)?.[1]
    if (key === 'python') requiresPython ??= version === undefined ? undefined : poetrySpecifier(version)
    else if (/\b(path|git|url)\s*=/.test(value))
      throw new PekkaError('INPUT_REQUIREMENTS', { file, line: line + 1, what: `${key} from an address or a path` })
    else {
      const specifier = poetrySpecifier(version ?? '*')
      requirements.push({
        ...{ distribution: normalName(key), extras: [], specifier, marker: '' },
        ...{ from: 'requirements', line: line + 1, source: file }
      })
    }
  }
  return { requirements, requiresPython, versions: new Map(), includes: [] }
}

/** `^1.2` is `>=1.2,<2`; `~1.2` is `>=1.2,<1.3`; `*` is anything. */
function poetrySpecifier(version: string): string {
  return version
    .split(',')
    .flatMap(part => {
      const text = part.trim()
      const caret = /^([\^~])(\d+(?:\.\d+)*)$/.exec(text)
      if (caret !== null) {
        const parts = (caret[2] ?? '').split('.').map(Number)
        const significant = parts.findIndex(number => number > 0)
        const at = caret[1] === '~' ? Math.min(1, parts.length - 1) : significant < 0 ? parts.length - 1 : significant
        const next = parts.slice(0, at + 1)
        next[at] = (next[at] ?? 0) + 1
        return [`>=${caret[2] ?? ''}`, `<${next.join('.')}`]
      }
      if (text === '*' || text === '') return []
      return [/^\d/.test(text) ? `==${text}` : text]
    })
    .join(',')
}

/** Exact versions out of `uv.lock`, `poetry.lock`, `pylock.toml`, `pdm.lock` (TOML) or `Pipfile.lock` (JSON). */
export function readLock(text: string): RequirementsFile {
  const versions = new Map<string, string>()
  const trimmed = text.trimStart()
  if (trimmed.startsWith('{')) {
    for (const [, name = '', version = ''] of text.matchAll(
      /"([\w.-]+)"\s*:\s*\{[^{}]*?"version"\s*:\s*"==([^"]+)"/g
    )) {
      versions.set(normalName(name), version)
    }
  } else {
    let name: string | undefined
    for (const line of text.split(/\r\n|\r|\n/)) {
      if (/^\[/.test(line)) name = undefined
      const [, key, value = ''] = /^(name|version)\s*=\s*["']([^"']+)["']/.exec(line) ?? []
      if (key === 'name') name = normalName(value)
      if (key === 'version' && name !== undefined) versions.set(name, value)
    }
  }
  return { requirements: [], requiresPython: undefined, versions, includes: [] }
}

// A little TOML: what dependency lists are written in. Anything else in the file is passed over.

function* linesOf(lines: readonly string[], table: string | null): Generator<{ text: string; line: number }> {
  let inside = table === null
  for (const [line, text] of lines.entries()) {
    const header = /^\s*\[+\s*([^\]]+?)\s*\]+/.exec(text)?.[1]
    if (header !== undefined && !/^\s*\[\s*["']/.test(text)) inside = header === table
    else if (inside) yield { text, line }
  }
}

function arrayOf(lines: readonly string[], table: string | null, key: string): { value: string; line: number }[] {
  const found: { value: string; line: number }[] = []
  let open = false
  for (const { text, line } of linesOf(lines, table)) {
    const start = new RegExp(`^\\s*["']?${key}["']?\\s*=\\s*\\[(.*)$`).exec(text)
    const rest = start?.[1] ?? (open ? text : undefined)
    if (rest === undefined) continue
    open = true
    // Strings, comments, and the closing bracket that stands outside of both.
    for (const [token, double, single] of rest.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|#.*$|\]/g)) {
      if (token === ']') open = false
      if (token === ']' || token.startsWith('#')) break
      found.push({ value: (double ?? single ?? '').replace(/\\(["\\])/g, '$1'), line })
    }
    if (!open) break
  }
  return found
}

function textOf(lines: readonly string[], table: string | null, key: string): string | undefined {
  for (const { text } of linesOf(lines, table)) {
    const value = new RegExp(`^\\s*${key}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`).exec(text)
    if (value !== null) return value[1] ?? value[2]
  }
  return undefined
}

function* entriesOf(lines: readonly string[], table: string): Generator<{ key: string; value: string; line: number }> {
  for (const { text, line } of linesOf(lines, table)) {
    const [, key, value = ''] = /^\s*["']?([\w.-]+)["']?\s*=\s*(.*)$/.exec(text) ?? []
    if (key !== undefined) yield { key, value, line }
  }
}
