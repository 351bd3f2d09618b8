/** Values that could fetch something, run something or read the page's variables. */
const ODD_VALUE = /url|image-set|expression|javascript|import|var\(|env\(|attr\(|element\(|paint\(|[\\<>@{}]|\/\*/i

/** A length of at most five digits, so that nothing can be made to cover the page or to be endless. */
const LENGTH =
  '(?:0|\\d{1,5}(?:\\.\\d{1,6})?(?:px|em|rem|ex|ch|pt|pc|cm|mm|in|%)?|auto|min-content|max-content|fit-content)'
const LENGTHS = new RegExp(`^${LENGTH}(?:\\s+${LENGTH}){0,3}$`, 'i')
const WORDS = /^[a-z-]+(?:\s+[a-z-]+){0,3}$/i
const COLOR = '(?:[a-z]{3,30}|#[0-9a-f]{3,8}|(?:rgb|hsl)a?\\([\\d.,%\\s/deg]{1,60}\\))'
const COLORS = new RegExp(`^${COLOR}$`, 'i')
const BORDER = new RegExp(`^(?:(?:${LENGTH}|[a-z]+|${COLOR})\\s*){1,4}$`, 'i')
/** What pandas' `Styler.bar` and `background_gradient` write. */
const GRADIENT = /^linear-gradient\([\w\s.,#%()-]{1,500}\)(?:\s+[\w\s.%-]{0,60})?$/i
const NUMBER = /^\d{1,4}(?:\.\d{1,4})?(?:px|em|rem|%|pt)?$/i
const FONT_SIZE = /^(?:(?:xx?-)?(?:small|large)|medium|smaller|larger|\d{1,2}(?:\.\d{1,3})?(?:px|pt|em|rem)|\d{1,3}%)$/i

const any =
  (...rules: RegExp[]) =>
  (value: string): boolean =>
    rules.some(rule => rule.test(value))

/** Declarations that change how something looks where it stands; none that move, cover, stack or hide other things. */
const RULES: Record<string, (value: string) => boolean> = {
  color: any(COLORS),
  'background-color': any(COLORS),
  background: any(COLORS, GRADIENT),
  'background-image': any(GRADIENT),
  'font-weight': any(WORDS, NUMBER),
  'font-style': any(WORDS),
  'font-size': any(FONT_SIZE),
  'font-family': any(/^[\w\s,'"-]{1,200}$/),
  'font-variant': any(WORDS),
  'text-align': any(WORDS),
  'text-decoration': any(WORDS),
  'text-transform': any(WORDS),
  'vertical-align': any(WORDS),
  'white-space': any(WORDS),
  'word-break': any(WORDS),
  'overflow-wrap': any(WORDS),
  'list-style-type': any(WORDS),
  'border-collapse': any(WORDS),
  'table-layout': any(WORDS),
  'caption-side': any(WORDS),
  'line-height': any(NUMBER, WORDS),
  display: any(/^(?:none|block|inline|inline-block|table(?:-[a-z-]+)?|flex|list-item)$/i),
  overflow: any(/^(?:auto|hidden|scroll)$/i),
  'overflow-x': any(/^(?:auto|hidden|scroll)$/i),
  'overflow-y': any(/^(?:auto|hidden|scroll)$/i)
}
for (const side of ['', '-top', '-right', '-bottom', '-left']) {
  RULES[`padding${side}`] = any(LENGTHS)
  RULES[`margin${side}`] = any(LENGTHS)
  RULES[`border${side}`] = any(BORDER)
  for (const part of ['color', 'width', 'style']) RULES[`border${side}-${part}`] = any(BORDER)
}
for (const name of ['width', 'height', 'max-width', 'max-height', 'min-width', 'border-spacing', 'border-radius']) {
  RULES[name] = any(LENGTHS)
}

/** Declarations whose loss changes what the author meant to show, so that the output counts as cut. */
const MOVING =
  /^(?:position|z-index|top|right|bottom|left|inset|transform|float|animation|transition|clip|filter|opacity|content|cursor|pointer-events)/i

export interface CleanStyle {
  /** Declarations in order, `name: value`. */
  declarations: [name: string, value: string][]
  /** True where something that matters was left out. */
  cut: boolean
}

/** Keeps the harmless declarations of a `style` attribute or rule, given as pairs. */
export function cleanDeclarations(pairs: Iterable<[string, string]>): CleanStyle {
  const declarations: [string, string][] = []
  let cut = false
  for (const [rawName, rawValue] of pairs) {
    const name = rawName.trim().toLowerCase()
    const value = rawValue.replace(/!\s*important/i, '').trim()
    const rule = Object.hasOwn(RULES, name) ? RULES[name] : undefined
    if (ODD_VALUE.test(value)) cut ||= /url|image-set|expression|javascript/i.test(value)
    else if (rule !== undefined && value.length <= 600 && rule(value)) declarations.push([name, value])
    else if (MOVING.test(name) && !/^(?:static|auto|none|1|initial|inherit|default)$/i.test(value)) cut = true
  }
  return { declarations, cut }
}

/** Splits a `style` attribute at semicolons outside quotes and brackets. */
export function styleAttribute(text: string): CleanStyle {
  const parts = text.match(/(?:[^;"'()]|"[^"]*"|'[^']*'|\((?:[^()]|\([^()]*\))*\)|["'()])+/g) ?? []
  return cleanDeclarations(
    parts.slice(0, 64).flatMap((part): [string, string][] => {
      const colon = part.indexOf(':')
      return colon < 0 ? [] : [[part.slice(0, colon), part.slice(colon + 1)]]
    })
  )
}
