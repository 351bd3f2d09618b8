import { cleanDeclarations } from './style.js'

/** Rules of one output's style sheets; a large Styler has one per distinct cell look. */
const MAX_RULES = 5_000

/** Elements × rules that may be matched: about a second of the page's time at most. */
const MAX_MATCHES = 20_000_000

/** Selectors that the browser matches in time proportional to the document. */
const PLAIN_SELECTOR = /^[\w\s#.,:>()*-]{1,20000}$/

/** Specificity as one number: ids, then classes and pseudo-classes, then types. Good to 1000 of each. */
function specificity(selector: string): number {
  const count = (pattern: RegExp): number => Math.min(999, (selector.match(pattern) ?? []).length)
  const types = selector.replace(/[#.:][\w-]+(?:\([^)]*\))?/g, ' ')
  return (
    count(/#[\w-]+/g) * 1e6 + count(/[.:][\w-]+/g) * 1e3 + Math.min(999, (types.match(/[a-z][\w-]*/gi) ?? []).length)
  )
}

export interface AppliedStyles {
  /** The declarations that the sheets give each element, weakest first. */
  styles: Map<Element, [string, string][]>
  cut: boolean
}

/**
 * Works out what the `<style>` elements of an inert document do to its elements, since neither they nor the classes and ids
 * that they name may enter the page. pandas' tables and Stylers keep their look that way. `CSSStyleSheet` parses without
 * loading anything.
 */
export function applySheets(document: Document, root: Element): AppliedStyles {
  const styles: AppliedStyles['styles'] = new Map()
  const sheets = [...document.querySelectorAll('style')].map(element => element.textContent ?? '')
  let cut = sheets.some(text => /@import|@font-face|url\(/i.test(text))
  const matched: { order: number; weight: number; element: Element; declarations: [string, string][] }[] = []
  let budget = MAX_MATCHES
  const size = root.getElementsByTagName('*').length
  let order = 0
  for (const text of sheets) {
    for (const rule of rulesOf(text)) {
      order += 1
      budget -= size
      if (order > MAX_RULES || budget < 0) return { styles: new Map(), cut: true }
      if (!PLAIN_SELECTOR.test(rule.selectorText) || /:(?:has|is|where|not)\(/.test(rule.selectorText)) continue
      const pairs = [...rule.style].map((name): [string, string] => [name, rule.style.getPropertyValue(name)])
      const clean = cleanDeclarations(shorthand(rule.style, pairs))
      if (clean.declarations.length === 0 && !clean.cut) continue
      for (const selector of rule.selectorText.split(',')) {
        for (const element of select(root, selector)) {
          cut ||= clean.cut
          matched.push({ order, weight: specificity(selector), element, declarations: clean.declarations })
        }
      }
    }
  }
  matched.sort((a, b) => a.weight - b.weight || a.order - b.order)
  for (const { element, declarations } of matched) {
    styles.set(element, [...(styles.get(element) ?? []), ...declarations])
  }
  return { styles, cut }
}

function rulesOf(text: string): CSSStyleRule[] {
  try {
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(text)
    return [...sheet.cssRules].filter((rule): rule is CSSStyleRule => rule instanceof CSSStyleRule)
  } catch {
    return []
  }
}

function select(root: Element, selector: string): Element[] {
  try {
    return [...root.querySelectorAll(selector)]
  } catch {
    return []
  }
}

/** CSSOM lists longhands; the few that were written short are put together again, so that fewer bytes are stored. */
function shorthand(style: CSSStyleDeclaration, pairs: [string, string][]): [string, string][] {
  const short = ['background', 'border', 'padding', 'margin', 'text-decoration', 'overflow'].filter(
    name => style.getPropertyValue(name) !== ''
  )
  const rest = pairs.filter(([name]) => !short.some(prefix => name.startsWith(`${prefix}-`)))
  return [
    ...short.map((name): [string, string] => [name, style.getPropertyValue(name)]),
    ...rest.filter(([name]) => !short.includes(name))
  ]
}
