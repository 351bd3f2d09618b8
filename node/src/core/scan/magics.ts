import { PYTHON_CELL_MAGICS, PYTHON_LINE_MAGICS } from './constants.js'

/** A cell without its IPython syntax. `code` has exactly as many lines as the source, so line numbers stay right. */
export interface PlainPython {
  code: string
  /** The cell magic's name, where the first line is one. */
  cellMagic?: string
  /** Names that magics bind: `%%capture out`, `%store -r x`. */
  defines: { name: string; line: number }[]
  /** Names that `!cmd {name}` and `%magic {name}` put into a command line. */
  reads: { name: string; line: number }[]
  /** True where `%pylab` puts numpy and matplotlib into the namespace. */
  star: boolean
  /** Files that the cell itself makes (`%%writefile x.py`). */
  writes: string[]
  /** Files that magics and command lines read: `!cat x.csv`, `%run nb.ipynb`. */
  files: { path: string; line: number }[]
  /** Scripts that `%run` runs in the cells' namespace: `helper.py`. */
  runs: string[]
  /** Command lines that install packages, from the installer's name on: `pip install a b`. */
  installs: { text: string; line: number }[]
  /** Modules that magics import: `%load_ext x`, `%matplotlib`, `%%cython`. */
  extensions: { text: string; line: number }[]
}

interface LineState {
  /** The quote that a string left open, or ''. */
  quote: string
  depth: number
}

/** Follows strings and brackets over one line, so that a `%` in the middle of an expression isn't taken for a magic. */
function follow(line: string, state: LineState): { state: LineState; continued: boolean } {
  let { quote, depth } = state
  let i = 0
  while (i < line.length) {
    const c = line[i] ?? ''
    if (quote !== '') {
      if (c === '\\') i += 1
      else if (line.startsWith(quote, i)) {
        i += quote.length - 1
        quote = ''
      }
    } else if (c === '#') break
    else if (c === '"' || c === "'") {
      quote = line.startsWith(c.repeat(3), i) ? c.repeat(3) : c
      i += quote.length - 1
    } else if ('([{'.includes(c)) depth += 1
    else if (')]}'.includes(c)) depth = Math.max(0, depth - 1)
    i += 1
  }
  const continued = /\\\s*$/.test(line)
  // A plain quote can't span lines unless the line is continued: what is open here is a slip that Python itself reports.
  if (quote.length === 1 && !continued) quote = ''
  return { state: { quote, depth }, continued }
}

const blank = (text: string): string => text.replace(/[^\s]/g, ' ')

function expansions(text: string, line: number): { name: string; line: number }[] {
  // `$HOME` is the shell's by custom, `$folder` Python's.
  const names = text.matchAll(/\{\s*([A-Za-z_]\w*)|\$([a-z_]\w*)/g)
  return [...names].map(match => ({ name: match[1] ?? match[2] ?? '', line }))
}

/**
 * Takes `%magic`, `!cmd`, `%%cell`, `obj?` and `x = !cmd` out of a cell, as IPython's input transformer would, and says what
 * they bind and read. Never throws.
 */
export function plainPython(source: string): PlainPython {
  const lines = source.split(/\r\n|\r|\n/)
  const result: PlainPython = {
    code: '',
    defines: [],
    reads: [],
    star: false,
    writes: [],
    files: [],
    runs: [],
    installs: [],
    extensions: []
  }
  let start = 0
  while (start < lines.length && (lines[start] ?? '').trim() === '') start += 1
  const head = /^%%([\w!.-]+)[ \t]*(.*)$/.exec(lines[start] ?? '')
  if (head !== null) {
    const [, magic = '', rest = ''] = head
    result.cellMagic = magic
    if (magic === 'capture') {
      const name = /^(?:-\S+\s+)*([A-Za-z_]\w*)/.exec(rest)?.[1]
      if (name !== undefined) result.defines.push({ name, line: start + 1 })
    }
    if (magic === 'writefile' || magic === 'file') {
      const file = /(?:^|\s)(?!-)(\S+)\s*$/.exec(rest)?.[1]
      if (file !== undefined) result.writes.push(file)
    }
    if (MAGIC_MODULES.has(magic)) result.extensions.push({ text: MAGIC_MODULES.get(magic) ?? magic, line: start + 1 })
    if (SHELL_MAGICS.has(magic)) {
      lines.slice(start + 1).forEach((line, index) => {
        installing(line, start + index + 2, result)
        reading(line, start + index + 2, result)
      })
    }
    if (!PYTHON_CELL_MAGICS.has(magic)) return { ...result, code: lines.map(() => '').join('\n') }
    const inline = /^timeit$|^time$|^prun$/.test(magic) ? rest.replace(/(?:^|\s)-[a-zA-Z]\s*\S*/g, '') : ''
    lines[start] = inline.trim()
  }
  let state: LineState = { quote: '', depth: 0 }
  let continued = false
  let inMagic = false
  lines.forEach((line, index) => {
    if (inMagic) {
      inMagic = /\\\s*$/.test(line)
      const install = result.installs.at(-1)
      if (install?.text.endsWith('\\') === true) install.text = `${install.text.slice(0, -1)} ${line.trim()}`
      result.reads.push(...expansions(line, index + 1))
      lines[index] = ''
      return
    }
    const fresh = state.quote === '' && state.depth === 0 && !continued
    if (fresh) {
      const kept = withoutMagic(line, index + 1, result)
      if (kept !== line) {
        inMagic = /\\\s*$/.test(line) && !/[^\s]/.test(kept.replace(/^\s*pass\s*$/, ''))
        line = kept
        lines[index] = kept
      }
    }
    ;({ state, continued } = follow(line, state))
  })
  return { ...result, code: lines.join('\n') }
}

/** Cell magics that hand the cell to a shell. */
const SHELL_MAGICS = new Set(['bash', 'sh', 'script', 'system', 'sx', '!'])

/** Modules behind magics that work without `%load_ext`. */
const MAGIC_MODULES: ReadonlyMap<string, string> = new Map([
  ['cython', 'Cython'],
  ['matplotlib', 'matplotlib'],
  ['pylab', 'matplotlib']
])

/** Notes a command line that installs packages. Continuation lines are the caller's business. */
function installing(text: string, line: number, result: PlainPython): void {
  const command =
    /(?:^|[\s;&|])(?:python3?(?:\.\d+)?\s+-m\s+|\{?sys\.executable\}?["']?\s+-m\s+)?((?:pip3?|uv\s+pip|uv|conda|mamba|micromamba)\s+(?:install|add)\s.+)$/.exec(
      ` ${text.trim()}`
    )?.[1]
  if (command !== undefined) result.installs.push({ text: command, line })
}

/** Commands that read the files that they name. */
const READING_COMMANDS = new Set(
  (
    'cat head tail wc less more nl sort uniq cut tac paste zcat gunzip gzip unzip tar file grep awk sed jq diff cmp md5sum sha256sum od xxd ' +
    'python python3 bash sh'
  ).split(' ')
)

/** Those that take code, or a module's name, in place of a file. */
const INTERPRETERS = /^(?:python3?|bash|sh)$/

/** Notes the files that a command line reads, as far as they are written out. */
function reading(text: string, line: number, result: PlainPython): void {
  for (const command of text.split(/\|\|?|&&|;/)) {
    const [program = '', ...words] = command
      .replace(/\s#.*$/, '')
      .trim()
      .split(/\s+/)
    if (!READING_COMMANDS.has(program)) continue
    // `python -m http.server` names a module, `python -m pip install x.y` packages, `python -c 'x.y'` is code.
    const script = words.findIndex(word => PLAIN_FILE.test(word))
    const option = INTERPRETERS.test(program) ? words.findIndex(word => word === '-m' || word === '-c') : -1
    const inline = option >= 0 && (script < 0 || option < script)
    const noFiles = words[option] === '-c' || words[option + 1] === 'pip'
    for (const [index, word] of words.entries()) {
      if (/^(?:\d?>{1,2}|&>)/.test(word)) {
        const target = word.replace(/^[\d&]?>+/, '') || words[index + 1]
        if (target !== undefined && PLAIN_FILE.test(target)) result.writes.push(target)
        break
      }
      const path = word.replace(/^(["'])(.*)\1$/, '$2').replace(/^<(?!<)/, '')
      const isCode = inline && (index === option + 1 || (index > option && noFiles))
      if (PLAIN_FILE.test(path) && !isCode) result.files.push({ path, line })
    }
  }
}

/** A word that is the name of a file and nothing that a shell makes something of. */
const PLAIN_FILE = /^[^-$`{}*?[\]()<>|&;"'\\:=,~/][^$`{}*?[\]()<>|&;"'\\:=,~]*\.[A-Za-z]\w{0,11}$/

/** `%run [-options] helper.py arguments`, `%run -m module`: what it defines only Python itself knows. */
function running(rest: string, line: number, result: PlainPython): void {
  result.star = true
  const words = rest.trim().split(/\s+/)
  const module = words[0] === '-m' ? words[1] : undefined
  if (module !== undefined && /^[A-Za-z_][\w.]*$/.test(module)) result.extensions.push({ text: module, line })
  const [file = ''] = words.filter(word => !/^-/.test(word))
  const path = file.replace(/^(["'])(.*)\1$/, '$2').replace(/^\.\//, '')
  // What lies outside the program's folder would stand in another place where it runs.
  if (words[0] === '-m' || !/^(?!\/|.*\.\.)[\w./-]+$/.test(path)) return
  if (path.endsWith('.ipynb')) result.files.push({ path, line })
  else result.runs.push(/\.\w+$/.test(path) ? path : `${path}.py`)
}

/** One line at a statement's start, without its magic. */
function withoutMagic(line: string, number: number, result: PlainPython): string {
  const magic = /^(\s*)%{1,2}([A-Za-z_][\w.]*)[ \t]*(.*)$/.exec(line)
  if (magic !== null) {
    const [, indent = '', name = '', rest = ''] = magic
    if (name === 'pylab') result.star = true
    const module = MAGIC_MODULES.get(name)
    if (module !== undefined) result.extensions.push({ text: module, line: number })
    if (name === 'load_ext') {
      const loaded = /^([A-Za-z_][\w.]*)/.exec(rest)?.[1]
      if (loaded !== undefined) result.extensions.push({ text: loaded, line: number })
    }
    if (/^(pip3?|conda|mamba|micromamba|uv|system|sx)$/.test(name))
      installing(`${name === 'system' || name === 'sx' ? '' : name} ${rest}`, number, result)
    if (name === 'run') running(rest, number, result)
    if (name === 'system' || name === 'sx') reading(rest, number, result)
    if (name === 'store' && /^-r\b/.test(rest)) {
      for (const stored of rest.slice(2).trim().split(/\s+/)) {
        if (/^[A-Za-z_]\w*$/.test(stored)) result.defines.push({ name: stored, line: number })
      }
    }
    if (PYTHON_LINE_MAGICS.has(name)) {
      const code = rest.replace(/^(?:-[a-zA-Z]\s*\d*\s+)+/, '')
      return indent + blank(line.slice(indent.length, line.length - code.length)).replace(/ +$/, '') + code
    }
    result.reads.push(...expansions(rest, number))
    return `${indent}pass`
  }
  // Typed without its percent sign (automagic); no statement of Python looks so.
  if (
    /^(?:pip3?|conda|mamba|micromamba)\s+[a-z]+(?:\s|$)/.test(line) &&
    !/^\w+\s+(?:in|is|and|or|not|if|for)\b/.test(line)
  ) {
    installing(line, number, result)
    return 'pass'
  }
  const shell = /^(\s*)(!|\?)/.exec(line)
  if (shell !== null) {
    if (shell[2] === '!') {
      const command = line.trim().replace(/^!+/, '')
      installing(command, number, result)
      reading(command, number, result)
    }
    result.reads.push(...expansions(line, number))
    return `${shell[1] ?? ''}pass`
  }
  const assigned = /^(\s*[A-Za-z_][\w., ]*=\s*)(!|%)(?=\S)(.*)$/.exec(line)
  if (assigned !== null) {
    const [, target = '', , rest = ''] = assigned
    const time = /^(time|timeit)\s+(.*)$/.exec(rest)
    if (time !== null && assigned[2] === '%') return target + (time[2] ?? '')
    if (assigned[2] === '!') reading(rest, number, result)
    result.reads.push(...expansions(rest, number))
    return `${target}None`
  }
  const help = /^(\s*)[%\w.*[\]'"]+\?{1,2}\s*$/.exec(line)
  if (help !== null) return `${help[1] ?? ''}pass`
  return line
}
