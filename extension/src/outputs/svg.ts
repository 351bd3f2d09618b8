import { MAX_SVG_CHARS, MAX_SVG_SHAPES } from './constants.js'

const REMOVED = new Set([
  'script',
  'foreignobject',
  'iframe',
  'object',
  'embed',
  'audio',
  'video',
  'canvas',
  'handler',
  'set'
])

/** Shapes to draw once `<use>` is followed; Infinity for a circle or a bomb. */
function shapesOf(root: Element): number {
  const byId = new Map<string, Element>()
  for (const element of root.querySelectorAll('[id]')) byId.set(element.id, element)
  const known = new Map<Element, number>()
  const count = (element: Element, depth: number): number => {
    const before = known.get(element)
    if (before !== undefined) return before
    if (depth > 256) return Infinity
    // Until it is counted, meeting it again is a circle.
    known.set(element, Infinity)
    let total = 1
    for (const child of element.children) total += count(child, depth + 1)
    if (element.localName === 'use') {
      const reference = element.getAttribute('href') ?? element.getAttribute('xlink:href') ?? ''
      const target = byId.get(reference.slice(1))
      if (target !== undefined) total += count(target, depth + 1)
    }
    known.set(element, total)
    return total
  }
  return count(root, 0)
}

/**
 * An SVG as a picture: the URL of an image that can't run scripts or load anything, which is what browsers make of an SVG in
 * `<img>`. Scripts and references to elsewhere are taken out all the same, for other programs that open the notebook.
 * Undefined where it isn't an SVG or would be too much to draw.
 */
export function svgPicture(value: unknown): { url: string; width?: number; height?: number } | undefined {
  const source = Array.isArray(value) ? value.join('') : value
  if (typeof source !== 'string' || source.length > MAX_SVG_CHARS || /<!ENTITY|<!DOCTYPE[^>]*\[/i.test(source))
    return undefined
  const withSpace = /<svg[^>]*\sxmlns\s*=/.test(source)
    ? source
    : source.replace('<svg', '<svg xmlns="http://www.w3.org/2000/svg"')
  const document = new DOMParser().parseFromString(withSpace.trim(), 'image/svg+xml')
  const root = document.documentElement
  if (root.localName !== 'svg' || document.getElementsByTagName('parsererror').length > 0) return undefined
  if (shapesOf(root) > MAX_SVG_SHAPES) return undefined
  for (const element of [root, ...root.querySelectorAll('*')]) {
    if (REMOVED.has(element.localName.toLowerCase())) {
      element.remove()
      continue
    }
    for (const attribute of [...element.attributes]) {
      const name = attribute.name.toLowerCase()
      const outside = /^(xlink:)?href$/.test(name) && !/^\s*(#|data:image\/(png|jpeg|gif);)/i.test(attribute.value)
      if (name.startsWith('on') || outside) element.removeAttribute(attribute.name)
    }
  }
  const size = (name: string): number | undefined => {
    const value = /^\s*(\d{1,5}(?:\.\d+)?)\s*(px|pt)?\s*$/.exec(root.getAttribute(name) ?? '')
    return value === null ? undefined : Math.round(Number(value[1]) * (value[2] === 'pt' ? 4 / 3 : 1))
  }
  const bytes = new TextEncoder().encode(new XMLSerializer().serializeToString(root))
  let binary = ''
  for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192))
  const [width, height] = [size('width'), size('height')]
  return {
    url: `data:image/svg+xml;base64,${btoa(binary)}`,
    ...(width ? { width } : {}),
    ...(height ? { height } : {})
  }
}
