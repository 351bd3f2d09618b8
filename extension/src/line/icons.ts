import { LabIcon } from '@jupyterlab/ui-components'

const stroke = 'fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round"'
const draw = (content: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">${content}</svg>`
const circle = `<circle ${stroke} cx="8" cy="8" r="6.2"/>`

/** Drawn on a grid of 16 px, in the text's colour. */
const DRAWINGS = {
  again: `<path ${stroke} d="M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3"/>`,
  caret: `<path ${stroke} d="M4 6.500l4 4 4-4"/>`,
  close: `<path ${stroke} d="M4 4l8 8M12 4l-8 8"/>`,
  done: `<path ${stroke} d="M3.500 8.500l3 3 6-7"/>`,
  download: `<path ${stroke} d="M8 2v8M4.500 7L8 10.500 11.500 7M2.500 13.500h11"/>`,
  error: `${circle}<path ${stroke} d="M8 4.800v3.700"/><circle fill="currentColor" cx="8" cy="11" r=".9"/>`,
  eye: `<path ${stroke} d="M1.500 8S4 3.500 8 3.500 14.500 8 14.500 8 12 12.500 8 12.500 1.500 8 1.500 8z"/><circle ${stroke} cx="8" cy="8" r="1.800"/>`,
  gauge: `<path ${stroke} d="M2.200 12a6.200 6.200 0 1 1 11.600 0M8 10l3-3.500"/>`,
  gear: `<circle ${stroke} cx="8" cy="8" r="2.200"/><path ${stroke} d="M8 1.800v2M8 12.200v2M1.800 8h2M12.200 8h2M3.600 3.600l1.400 1.400M11 11l1.400 1.400M3.600 12.400L5 11M11 5l1.400-1.400"/>`,
  hourglass: `<path ${stroke} d="M4 2h8M4 14h8M5 2v2.500L8 8l3-3.500V2M5 14v-2.500L8 8l3 3.500V14"/>`,
  info: `${circle}<path ${stroke} d="M8 7.500v3.500"/><circle fill="currentColor" cx="8" cy="5" r=".9"/>`,
  offline: `<path ${stroke} d="M2 6.500a9 9 0 0 1 4-2.200M14 6.500a9 9 0 0 0-4-2.200M4.500 9.300A5 5 0 0 1 6.500 8M11.500 9.300A5 5 0 0 0 9.500 8M3 2l10 12"/><circle fill="currentColor" cx="8" cy="12" r="1.200"/>`,
  online: `<path ${stroke} d="M2 6.500a9 9 0 0 1 12 0M4.500 9.300a5 5 0 0 1 7 0"/><circle fill="currentColor" cx="8" cy="12" r="1.200"/>`,
  pause: `<path ${stroke} d="M5.500 3.500v9M10.500 3.500v9"/>`,
  receipt: `<path ${stroke} d="M3.500 2h9v12l-1.500-1.200L9.500 14 8 12.800 6.500 14 5 12.800 3.500 14zM6 5.500h4M6 8.500h4"/>`,
  remote: `<path fill="currentColor" d="M2 3.200v9.600L9 8z"/><path ${stroke} d="M10.600 5.200a4 4 0 0 1 0 5.600M12.900 3.200a6.800 6.800 0 0 1 0 9.600"/>`,
  returned: `<path ${stroke} d="M5.500 3L2.500 6l3 3M2.500 6H10a3.500 3.500 0 0 1 0 7H6"/>`,
  search: `<circle ${stroke} cx="7" cy="7" r="4.200"/><path ${stroke} d="M10.200 10.200L14 14"/>`,
  settled: `${circle}<path ${stroke} d="M5.200 8.200l2 2 3.600-4"/>`,
  spinner: `<path ${stroke} d="M8 2a6 6 0 1 1-5.200 3"/>`,
  starting: `<circle ${stroke} cx="8" cy="8" r="6" stroke-dasharray="3 2.300"/><path fill="currentColor" d="M6.500 5.300v5.400L11 8z"/>`,
  stop: `<rect fill="currentColor" x="4" y="4" width="8" height="8" rx="1"/>`,
  wallet: `<path ${stroke} d="M2 4.500h11.500v9H2zM2 4.500L10.500 2v2.500M10.500 9h.5"/>`,
  warning: `<path ${stroke} d="M8 2.200L14.500 13.500h-13zM8 6.500v3"/><circle fill="currentColor" cx="8" cy="11.500" r=".9"/>`
} as const

export type IconName = keyof typeof DRAWINGS

const icons = new Map<IconName, LabIcon>()

/** A drawing as Lab's own icon class, e.g. for commands. */
export function labIcon(name: IconName): LabIcon {
  const known = icons.get(name)
  if (known) return known
  const made = new LabIcon({ name: `pekka:${name}`, svgstr: draw(DRAWINGS[name]) })
  icons.set(name, made)
  return made
}

/** An element with the drawing, hidden from screen readers: a word stands beside it. */
export function iconElement(name: IconName, className = ''): HTMLElement {
  const holder = document.createElement('span')
  holder.className = `pk-Icon ${className}`.trim()
  holder.setAttribute('aria-hidden', 'true')
  // The drawings above, never anything from outside.
  holder.innerHTML = draw(DRAWINGS[name])
  return holder
}
