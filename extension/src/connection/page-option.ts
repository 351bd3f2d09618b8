/** What the wallet writes into JupyterLab's page config, as the option `pekka` (agents/wallet/page-config.ts). */
export interface PageOption {
  /** One-time pairing code, good for a minute. */
  code: string
  /** Addresses as the user's own computer sees them. */
  wallet: string
  bridge: string
}

const isAddress = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= 512 && /^https?:\/\//.test(value) && URL.canParse(value)

/** Undefined where the page has none, or one of another version. */
export function parsePageOption(text: string): PageOption | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { v, code, wallet, bridge } = value as Record<string, unknown> // each field is checked
  if (v !== 1 || typeof code !== 'string' || code.length > 128 || !isAddress(wallet) || !isAddress(bridge))
    return undefined
  return { code, wallet, bridge }
}

/** The option inside a page of JupyterLab that was fetched anew, because the code of the open page is used up or too old. */
export function optionOfPage(html: string): PageOption | undefined {
  const config = /<script[^>]*id="jupyter-config-data"[^>]*>([^<]*)<\/script>/.exec(html)?.[1]
  if (config === undefined) return undefined
  try {
    const options: unknown = JSON.parse(config)
    if (typeof options !== 'object' || options === null || !('pekka' in options)) return undefined
    return typeof options.pekka === 'string' ? parsePageOption(options.pekka) : undefined
  } catch {
    return undefined
  }
}
