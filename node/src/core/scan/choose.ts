import type { ImportScan, ModuleUse } from './imports.js'
import { applies } from './markers.js'
import { isOwn, type MissingPackage } from './missing.js'
import { nearest } from './nearest.js'
import { inForce, normalName, type Requirement } from './requirements.js'
import { ABSENT, STANDARD_LIBRARY, NEWER_STANDARD_LIBRARY } from './stdlib.js'
import { IMAGE_PYTHON, type TooNew } from './syntax.js'
import { longest, longestKey, type ImageModules, type ModuleTables } from './tables.js'
import { allows, breaks, breakingPart, contradict, minorOf } from './versions.js'
import { listed } from './words.js'

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
  /** What the code asks for and no machine offers, where its packages are added to this one instead; `why` are modules. */
  unoffered?: { image: string; why: string }
}

/** A module that is imported, or a part of one that has a distribution of its own. */
interface Use extends ModuleUse {
  /** `distributed` for `dask.distributed`: whoever has dask needn't have it. */
  part?: string
}

interface Wanted {
  use: Use
  /** Where nothing has it but this. */
  outside: { distribution: string; source: MissingPackage['source'] } | undefined
  specifiers: Requirement[]
}

/** An image covers a module where it has one of the dotted names, in a version that is allowed. */
function inImage(image: ImageModules, use: Use): readonly [string, string] | undefined {
  const { part } = use
  if (part !== undefined) return [...image.modules.values()].find(([distribution]) => normalName(distribution) === part)
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
  /** Distributions that the user leaves out. */
  private readonly leftOut = new Set<string>()

  constructor(
    private readonly scan: ImportScan,
    private readonly tables: ModuleTables,
    private readonly options: ChoiceOptions
  ) {
    const asked = [...scan.requirements, ...(options.declared ?? [])]
    this.requirements = inForce(asked.filter(({ marker }) => applies(marker)))
  }

  choose(): ImageChoice {
    for (const use of this.scan.modules) for (const part of this.parts(use)) this.sort(part)
    this.absent()
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

  /** A module, and those of its imported parts that come with another distribution, as the reviewed table says. */
  private parts(use: ModuleUse): Use[] {
    const parts = new Map<string, Use>()
    const packages = new Set(use.modules.map(module => longest(this.tables.reviewed, module)))
    const rest = use.modules.filter(module => {
      const name = longestKey(this.tables.reviewed, module)
      const part = name === undefined ? undefined : normalName(this.tables.reviewed.get(name) ?? '')
      if (name?.includes('.') !== true || part === undefined || this.isOwnModule(use.name)) return true
      const others = this.tables.images.flatMap(image => longest(image.modules, module)?.[0] ?? [])
      // A module of one package that nothing else has goes by its own name.
      if (others.length === 0 ? packages.size === 1 : others.some(other => normalName(other) === part)) return true
      parts.set(name, { ...use, name, modules: [name], part })
      return false
    })
    if (parts.size === 0) return [use]
    const whole = { ...use, modules: rest.length === 0 ? [use.name] : rest }
    // Of a namespace alone nobody has a package.
    const isPackage = rest.length > 0 || this.tables.images.some(image => inImage(image, whole) !== undefined)
    return [...(isPackage ? [whole] : []), ...parts.values()]
  }

  /** Beside the code, or left out. */
  private isOwnModule(name: string): boolean {
    return this.options.localModules?.has(name) === true || this.options.answers?.get(name) === null
  }

  /** What a use is: nothing to fetch, something that an image or a package has, or a question. */
  private sort(use: Use): void {
    const { name } = use
    const { localModules, localFolders, answers } = this.options
    if (STANDARD_LIBRARY.has(name) || NEWER_STANDARD_LIBRARY.has(name) || localModules?.has(name) === true) return
    const answer = answers?.get(name)
    if (answer === null) {
      const distributions = [use.part ?? name, this.outside(use)?.distribution ?? name, ...this.distributionsOf(use)]
      for (const distribution of distributions) this.leftOut.add(normalName(distribution))
      return
    }
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

  private distributionsOf(use: Use): string[] {
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
      const own = specifiers.filter(({ from }) => isOwn(from))
      const extras = [...new Set((found === undefined ? specifiers : own).flatMap(one => one.extras))]
      // What the code itself asks for goes before files beside it, which list what a whole project once had.
      const alone =
        found === undefined
          ? contradict(joined(own), joined(specifiers.filter(({ from }) => !isOwn(from))))
          : extras.length > 0 || !allows(joined(own), found[1])
      const asked = alone ? own : specifiers
      const specifier = joined(asked)
      if (found !== undefined && allows(specifier, found[1]) && extras.length === 0) return []
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
          extras,
          source: this.namedBy(asked, found?.[1]) ?? outside?.source ?? ('image' as const),
          // Who installs it in the code doesn't do without it.
          optional: use.optional && own.length === 0,
          have: found?.[1] ?? null,
          elsewhere: found === undefined ? (elsewhere?.name ?? null) : null
        }
      ]
    })
  }

  /** Who asks for it in another way than the image has it; the code itself before files beside it. */
  private namedBy(requirements: readonly Requirement[], have: string | undefined): Requirement['from'] | undefined {
    const unmet = requirements.filter(({ specifier }) => have === undefined || !allows(specifier, have))
    const own = requirements.filter(({ from }) => isOwn(from))
    const [first] = [...unmet.filter(one => own.includes(one)), ...unmet, ...own, ...requirements]
    return first?.from
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
    const missing: MissingPackage[] = []
    for (const distribution of new Set(this.requirements.map(one => one.distribution))) {
      if (imported.has(distribution) || this.isLeftOut(distribution)) continue
      const version = has.get(distribution)
      const own = this.requirements.filter(one => one.distribution === distribution && isOwn(one.from))
      const [first] = own
      if (first === undefined) {
        if (version === undefined) left.add(distribution)
        continue
      }
      const specifier = joined(own)
      const extras = [...new Set(own.flatMap(one => one.extras))]
      if (version !== undefined && allows(specifier, version) && extras.length === 0) continue
      missing.push({
        ...{ module: distribution, distribution, specifier, extras, source: first.from, optional: false },
        ...{ have: version ?? null, elsewhere: null }
      })
    }
    if (left.size > 0) {
      const file = this.requirements.find(({ from }) => from === 'requirements')?.source ?? 'requirements.txt'
      this.notes.push(`${file} also lists ${listed([...left])}, which this code doesn’t import: left out.`)
    }
    return missing
  }

  private isLeftOut(distribution: string): boolean {
    return this.leftOut.has(distribution) || this.options.answers?.get(distribution) === null
  }

  /** Modules of Python itself that no image has. */
  private absent(): void {
    const at = this.options.place ?? ((source, line) => `${source}, line ${line}`)
    for (const { name, optional, line, source } of this.scan.modules) {
      const why = ABSENT.get(name)
      if (why === undefined || optional || this.isOwnModule(name)) continue
      this.notes.push(`${name} is in no environment: ${why}. The code stops where it imports it (${at(source, line)}).`)
    }
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

const joined = (requirements: readonly Requirement[]): string =>
  requirements.flatMap(({ specifier }) => (specifier === '' ? [] : [specifier])).join(',')

/** `3.0` of 3.0.1. */
const short = (version: string): string => /^\d+(?:\.\d+)?/.exec(version)?.[0] ?? version
