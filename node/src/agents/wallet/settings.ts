import { z } from 'zod'

/** Settings file of the wallet process. */
export const settingsSchema = z.object({
  home: z.string(),
  logLevel: z.string().default('info'),
  readyFile: z.string(),
  /** Where browsers pair: loopback only. */
  http: z.object({ host: z.string().default('127.0.0.1'), port: z.number().int().min(0).max(65535) }),
  /** Unix socket for processes of the same user, mode 0600. */
  socket: z.string(),
  /** Bridge address. */
  bridge: z.string(),
  /** Further addresses under which browsers may reach the bridge, tried in order before `bridge`. */
  browserBridges: z.array(z.string()).default([]),
  /** Origins whose pages may pair directly (Lab's own); through Lab's proxy no origin is needed. */
  allowedOrigins: z.array(z.string()).default([]),
  /** A page_config.json that JupyterLab reads at each page load: fresh codes are written there. */
  pageConfig: z.string().nullable().default(null)
})
export type WalletSettings = z.infer<typeof settingsSchema>
