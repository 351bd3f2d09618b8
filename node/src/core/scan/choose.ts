import type { ImportScan, ModuleUse } from './imports.js'
import { nearest } from './nearest.js'
import { normalName, type Requirement } from './requirements.js'
import { STANDARD_LIBRARY, NEWER_STANDARD_LIBRARY } from './stdlib.js'
import { IMAGE_PYTHON, type TooNew } from './syntax.js'
import { longest, type ImageModules, type ModuleTables } from './tables.js'
import { allows, breaks, breakingPart, minorOf } from './versions.js'

/** What the user's own Python has of the imported modules. */
export interface LocalPackages {
  /** `3.12.4` or `3.12`. */
  python: string | undefined
  /** Import name → distribution and version; null: it can't be imported there. Absent: nobody asked. */
  modules: ReadonlyMap<string, readonly [distribution: string, version: string] | null>
}

export interface ChoiceOptions {
  /** Modules beside the notebook or script (`x.py`, `x/__init__.py`). */
  localModules?: ReadonlySet<string>
  /** Folders beside it without an `__init__.py`: packages only where nothing else has the name. */
  localFolders?: ReadonlySet<string>
  /** Of the kernel, or of a Python that was named. */
  local?: LocalPackages | undefined
  /** What files beside the script ask for. */
  declared?: readonly Requirement[]
  /** Exact versions from lock files, by distribution. */
  locked?: ReadonlyMap<string, string>
  requiresPython?: string | undefined
  tooNew?: readonly TooNew[]
  /** The user's answers to questions: module → distribution, or null to leave it out. */
  answers?: ReadonlyMap<string, string | null>
  /** An image that somebody chose: only this one is looked at. */
  image?: string | undefined
  /** How a place is called: "cell 3, line 2". Default: `id:line`. */
  place?: (source: string, line: number) => string
}

/** A package that no image has in the way that is asked for. */
export interface MissingPackage {
  /** Import name; for packages that are asked for and not imported, the distribution. */
  module: string
  distribution: string
  /** PEP 440, or ''. */
  specifier: string
  extras: string[]
  /** Who named the distribution. */
  source: 'script' | 'requirements' | 'install' | 'kernel' | 'reviewed' | 'answer' | 'image'
  /** The code goes on without it. */
  optional: boolean
  /** The version in the chosen image, where that is not one of those asked for. */
  have: string | null
  /** Another image that has it, though not everything else. */
  elsewhere: string | null
}

export interface PackageQuestion {
  module: string
  /** A known name that is near, to be offered; never taken without an answer. */
  suggestion: string | null
  /** "rdkit2 isn't known. Did you mean rdkit?" */
  text: string
  line: number
  source: string
}

export interface ImageChoice {
  image: string
  /** Somebody chose it; the tables only say what it lacks. */
  byUser: boolean
  /** What decided it: what the smallest image lacks. Empty where that one was enough. */
  uses: { module: string; distribution: string; version: string }[]
  /** "chemistry (rdkit)", "base". */
  label: string
  /** Sentences for people: why this one. */
  reasons: string[]
  /** To be resolved into a layer over the image. */
  missing: MissingPackage[]
  /** Names that nobody knows. Nothing is sent before they are answered. */
  questions: PackageQuestion[]
  /** Versions that differ, syntax that is too new, files that were left out. */
  notes: string[]
}

interface Wanted {
  use: ModuleUse
  /** Where nothing has it but this. */
  outside: { distribution: string; source: MissingPackage['source'] } | undefined
  specifiers: Requirement[]
}

/** An image covers a module where it has one of the dotted names, in a version that is allowed. */
function inImage(image: ImageModules, use: ModuleUse): readonly [string, string] | undefined {
  for (const module of use.modules) {
    const found = longest(image.modules, module)
    if (found === undefined) return undefined
  }
  return use.modules[0] === undefined ? undefined : longest(image.modules, use.modules[0])
}

/** The environment for some code: the smallest image that has all it imports, with reasons, and what is missing there. */
export function chooseImage(scan: ImportScan, tables: ModuleTables, options: ChoiceOptions = {}): ImageChoice {
  return new Chooser(scan, tables, options).choose()
}

class Chooser {
  private readonly wanted: Wanted[] = []
  private readonly questions: PackageQuestion[] = []
  private readonly notes: string[] = []
  private readonly requirements: readonly Requirement[]

  constructor(
    private readonly scan: ImportScan,
    private readonly tables: ModuleTables,
    private readonly options: ChoiceOptions
  ) {
    this.requirements = [...scan.requirements, ...(options.declared ?? [])].filter(({ marker }) => applies(marker))
  }

  choose(): ImageChoice {
    for (const use of this.scan.modules) this.sort(use)
    const image = this.best()
    const missing = [...this.missingIn(image), ...this.askedFor(image)]
    const smallest = this.tables.images[0]
    const uses = this.wanted.flatMap(({ use }) => {
      const found = inImage(image, use)
      if (found === undefined || (smallest && smallest !== image && inImage(smallest, use))) return []
      return smallest === image ? [] : [{ module: use.name, distribution: found[0], version: found[1] }]
    })
    this.versions(image)
    return {
      image: image.name,
      byUser: this.options.image !== undefined,
      uses,
      label: uses.length === 0 ? image.name : `${image.name} (${listed(uses.map(({ module }) => module))})`,
      reasons: this.reasons(image, uses),
      missing,
      questions: this.questions,
      notes: this.notes
    }
  }

  /** What a use is: nothing to fetch, something that an image or a package has, or a question. */
  private sort(use: ModuleUse): void {
    const { name } = use
    const { localModules, localFolders, answers } = this.options
    if (STANDARD_LIBRARY.has(name) || NEWER_STANDARD_LIBRARY.has(name) || localModules?.has(name) === true) return
    const answer = answers?.get(name)
    if (answer === null) return
    const known = this.tables.images.some(image => inImage(image, use) !== undefined)
    const outside = known
      ? undefined
      : answer === undefined
        ? this.outside(use)
        : ({ distribution: normalName(answer), source: 'answer' } as const)
    if (!known && outside === undefined) {
      if (localFolders?.has(name) !== true && !this.dispensable(use)) this.ask(use)
      return
    }
    // What the user's own Python doesn't have either, the code does without at home.
    if (use.optional && this.options.local?.modules.get(name) === null) return
    // An alternative that every machine has is as good.
    if (use.optional && !known && use.alternatives.length > 0 && this.dispensable(use)) return
    const names = new Set([outside?.distribution, ...this.distributionsOf(use)])
    this.wanted.push({
      use,
      outside,
      specifiers: this.requirements.filter(({ distribution }) => names.has(distribution))
    })
  }

  private distributionsOf(use: ModuleUse): string[] {
    return this.tables.images.flatMap(image => {
      const found = inImage(image, use)
      return found === undefined ? [] : [normalName(found[0])]
    })
  }

  /** The distribution of a module that no image has, by somebody's word: the user's own, or the reviewed table's. */
  private outside(use: ModuleUse): Wanted['outside'] {
    const here = this.options.local?.modules.get(use.name)
    if (here !== undefined && here !== null) return { distribution: normalName(here[0]), source: 'kernel' }
    const own = normalName(use.name)
    const reviewed = use.modules.map(module => longest(this.tables.reviewed, module)).find(found => found !== undefined)
    if (reviewed !== undefined) return { distribution: normalName(reviewed), source: 'reviewed' }
    // The user wrote that package down for this code, under the module's own name.
    const named = this.requirements.find(({ distribution }) => distribution === own)
    return named === undefined ? undefined : { distribution: named.distribution, source: named.from }
  }

  private dispensable(use: ModuleUse): boolean {
    if (!use.optional) return false
    if (use.alternatives.length === 0) return true
    return use.alternatives.some(name => {
      if (STANDARD_LIBRARY.has(name) || this.options.localModules?.has(name) === true) return true
      const other = this.scan.modules.find(candidate => candidate.name === name)
      return (
        other !== undefined &&
        (this.tables.images.some(image => inImage(image, other)) || this.outside(other) !== undefined)
      )
    })
  }

  private ask(use: ModuleUse): void {
    const { name, line, source } = use
    const known = new Set([
      ...this.tables.images.flatMap(image => [...image.modules.keys()]),
      ...this.tables.reviewed.keys(),
      ...(this.options.local?.modules.keys() ?? [])
    ])
    known.delete(name)
    // Of a namespace the part is unknown, not its first name.
    const shown =
      use.modules.length === 1 && known.has(use.modules[0]?.split('.').slice(0, 2).join('.') ?? '')
        ? use.modules[0]
        : name
    const suggestion =
      nearest(
        name,
        [...known].filter(candidate => !candidate.includes('.'))
      ) ?? null
    const text = suggestion === null ? `${shown} isn’t known.` : `${shown} isn’t known. Did you mean ${suggestion}?`
    this.questions.push({ module: name, suggestion, text, line, source })
  }

  /** The smallest image that has all that is needed and what else it can; where none has all, the one that lacks least. */
  private best(): ImageModules {
    const chosen = this.tables.images.find(({ name }) => name === this.options.image)
    if (this.options.image !== undefined)
      return chosen ?? { name: this.options.image, python: IMAGE_PYTHON.join('.'), mb: 0, modules: new Map() }
    const scored = this.tables.images.map(image => {
      let needed = 0
      let welcome = 0
      for (const { use } of this.wanted) {
        if (inImage(image, use) !== undefined) continue
        if (use.optional) welcome += 1
        else needed += 1
      }
      return { image, needed, welcome }
    })
    const [first, ...others] = scored
    if (first === undefined) throw new Error('The tables name no image')
    return others.reduce(
      (best, next) =>
        next.needed < best.needed || (next.needed === best.needed && next.welcome < best.welcome) ? next : best,
      first
    ).image
  }

  private missingIn(image: ImageModules): MissingPackage[] {
    const unknownImage = image.modules.size === 0
    return this.wanted.flatMap(({ use, outside, specifiers }) => {
      const found = inImage(image, use)
      const specifier = specifiers
        .map(({ specifier: text }) => text)
        .filter(text => text !== '')
        .join(',')
      if (found !== undefined && allows(specifier, found[1])) return []
      // Nobody knows what an image holds that the tables don't have.
      if (unknownImage) return []
      const elsewhere = this.tables.images.find(other => inImage(other, use) !== undefined)
      const there = elsewhere && inImage(elsewhere, use)
      const distribution = found?.[0] ?? outside?.distribution ?? there?.[0]
      if (distribution === undefined) return []
      return [
        {
          module: use.name,
          distribution: normalName(distribution),
          specifier: specifier === '' && outside?.source === 'kernel' ? this.likeHere(use.name) : specifier,
          extras: [...new Set(specifiers.flatMap(({ extras }) => extras))],
          source: specifiers[0]?.from ?? outside?.source ?? ('image' as const),
          optional: use.optional,
          have: found?.[1] ?? null,
          elsewhere: found === undefined ? (elsewhere?.name ?? null) : null
        }
      ]
    })
  }

  /** The same breaking version as in the user's own Python. */
  private likeHere(module: string): string {
    const version = this.options.local?.modules.get(module)?.[1]
    const part = version === undefined ? undefined : breakingPart(version)
    return part === undefined ? '' : `==${part}.*`
  }

  /** What a PEP 723 block or an install line asks for beside the imports; files often list more than one program needs. */
  private askedFor(image: ImageModules): MissingPackage[] {
    const imported = new Set(
      this.wanted.flatMap(({ use, outside }) => [...this.distributionsOf(use), outside?.distribution])
    )
    const has = new Map(
      [...image.modules.values()].map(([distribution, version]) => [normalName(distribution), version])
    )
    const left = new Set<string>()
    const missing = new Map<string, MissingPackage>()
    for (const { distribution, specifier, extras, from } of this.requirements) {
      if (imported.has(distribution)) continue
      const version = has.get(distribution)
      if (version !== undefined && allows(specifier, version)) continue
      if (from === 'requirements') {
        if (version === undefined) left.add(distribution)
        continue
      }
      missing.set(distribution, {
        ...{ module: distribution, distribution, specifier, extras, source: from, optional: false },
        ...{ have: version ?? null, elsewhere: null }
      })
    }
    if (left.size > 0) {
      const file = this.requirements.find(({ from }) => from === 'requirements')?.source ?? 'requirements.txt'
      this.notes.push(`${file} also lists ${listed([...left])}, which this code doesn’t import: left out.`)
    }
    return [...missing.values()]
  }

  private versions(image: ImageModules): void {
    const { local, locked, requiresPython, tooNew, place } = this.options
    const at = place ?? ((source, line) => `${source}, line ${line}`)
    const asked = requiresPython ?? this.scan.requiresPython
    if (asked !== undefined && !allows(asked, `${image.python}.0`) && !allows(asked, `${image.python}.99`)) {
      this.notes.push(`It asks for Python ${asked}; ${image.name} has ${image.python}.`)
    }
    for (const { what, python, line, source } of tooNew ?? []) {
      this.notes.push(`${what} needs Python ${python} (${at(source, line)}); ${image.name} has ${image.python}.`)
    }
    const minor = local?.python === undefined ? undefined : minorOf(local.python)
    if (minor !== undefined && minor !== image.python)
      this.notes.push(`Python is ${minor} here, ${image.python} there.`)
    for (const { use } of this.wanted) {
      const there = inImage(image, use)
      if (there === undefined) continue
      const here = local?.modules.get(use.name)?.[1] ?? locked?.get(normalName(there[0]))
      if (here !== undefined && breaks(here, there[1])) {
        this.notes.push(`${there[0]} is ${short(here)} here, ${short(there[1])} there.`)
      }
    }
  }

  private reasons(image: ImageModules, uses: ImageChoice['uses']): string[] {
    const { images } = this.tables
    if (this.options.image !== undefined) return ['Chosen by you.']
    const own = this.wanted.filter(({ use }) => inImage(image, use)).map(({ use }) => use.name)
    if (own.length === 0) return [`Smallest one; the code imports nothing that others have.`]
    const all = this.wanted.every(({ use }) => use.optional || inImage(image, use))
    const named = listed(uses.length > 0 ? uses.map(({ module }) => module) : own)
    if (!all) return [`None has everything; this one lacks least. It has ${named}.`]
    return [`${images[0] === image ? 'Smallest one, and has' : 'Smallest one that has'} ${named}.`]
  }
}

/** What the code can't do without and the image lacks, as requirements (PEP 508) for a layer over it. */
export const missingRequirements = ({ missing }: Pick<ImageChoice, 'missing'>): string[] =>
  missing
    .filter(({ optional, have }) => !optional && have === null)
    .map(({ distribution, extras, specifier }) => {
      const all = extras.length === 0 ? '' : `[${extras.join(',')}]`
      return `${distribution}${all}${specifier}`
    })

/** Names in a sentence; more are counted. */
const LISTED = 4

/** `a`, `a and b`, `a, b and c`, `a, b, c, d and 3 more`. */
export function listed(names: readonly string[]): string {
  if (names.length > LISTED) return `${names.slice(0, LISTED).join(', ')} and ${names.length - LISTED} more`
  const last = names.at(-1) ?? ''
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`
}

/** `3.0` of 3.0.1. */
const short = (version: string): string => /^\d+(?:\.\d+)?/.exec(version)?.[0] ?? version

/** Whether a requirement with this environment marker concerns a machine of the network (Linux, the images' Python). */
export function applies(marker: string): boolean {
  const facts: Record<string, string> = {
    sys_platform: 'linux',
    platform_system: 'Linux',
    os_name: 'posix',
    platform_machine: 'x86_64',
    implementation_name: 'cpython',
    platform_python_implementation: 'CPython'
  }
  return marker.split(/\bor\b/).some(alternative =>
    alternative.split(/\band\b/).every(clause => {
      const match = /^[\s(]*(\w+)\s*(===|==|!=|<=|>=|<|>|~=)\s*["']([^"']*)["'][\s)]*$/.exec(clause)
      if (match === null) return true
      const [, variable = '', operator = '', value = ''] = match
      if (variable === 'python_version' || variable === 'python_full_version')
        return allows(
          `${operator}${value}`,
          variable === 'python_version' ? IMAGE_PYTHON.join('.') : `${IMAGE_PYTHON.join('.')}.7`
        )
      const fact = facts[variable]
      if (fact === undefined) return variable !== 'extra'
      return operator === '!=' ? fact !== value : operator === '==' ? fact === value : true
    })
  )
}
