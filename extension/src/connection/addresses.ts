/**
 * Addresses under which the page may reach a process, best first. What listens on loopback of the computer where Jupyter runs is
 * reached through jupyter-server-proxy at Lab's own origin, so one forwarded port is enough; directly where that proxy is missing
 * and the browser runs on the same computer (DESIGN §10).
 *
 * @param labBase Lab's base address, e.g. `http://localhost:8888/user/ada/`
 * @param address e.g. `http://127.0.0.1:7420`
 */
export function addressesFor(labBase: string, address: string): string[] {
  const { direct, proxied } = waysTo(labBase, address)
  return [proxied, direct].filter(way => way !== undefined)
}

/**
 * The same for a bridge, which every run goes through: a page on the computer where Jupyter runs goes there itself, since Lab's
 * proxy takes as long as the rest of a short cell (docs/decisions/0011-direct-on-loopback.md). Only for what the page checks before
 * it trusts it; a pairing code goes the other way.
 */
export function bridgeAddressesFor(labBase: string, address: string): string[] {
  const { direct, proxied } = waysTo(labBase, address)
  // Some browsers let a page that came by TLS not call what has none.
  const first = new URL(labBase).protocol === 'http:' ? [direct, proxied] : [proxied, direct]
  return first.filter(way => way !== undefined)
}

function waysTo(labBase: string, address: string): { direct?: string; proxied?: string } {
  const direct = address.replace(/\/+$/, '')
  const url = new URL(address)
  if (!isLoopback(url.hostname)) return { direct }
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port
  const proxied = new URL(`proxy/${url.protocol === 'https:' ? 'https:' : ''}${port}`, withSlash(labBase)).href
  // A page from elsewhere means another computer by loopback than Jupyter does.
  return isLoopback(new URL(labBase).hostname) ? { direct, proxied } : { proxied }
}

const withSlash = (address: string): string => (address.endsWith('/') ? address : `${address}/`)

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)

/** How an address is named to people: `127.0.0.1:7420`, `bridge.example.org`. */
export const shownAddress = (address: string): string => new URL(address).host
