/**
 * The wallet: a process of the user's that holds the account's key and the view key, grants delegates to browser
 * profiles and the command line, and signs nothing of a task itself (PROTOCOL §10, DESIGN §10).
 *
 * @packageDocumentation
 */
export { CODE_LIFE_MS, PairingCodes } from './codes.js'
export { PageConfig } from './page-config.js'
export { WalletServer, type WalletServerInit } from './server.js'
export { settingsSchema, type WalletSettings } from './settings.js'
export { AccountKeys, type AccountKeysComponents } from './keys.js'
export { openVault, type Vault } from './vault.js'
export { DEFAULT_TERMS, Wallet, type GrantTerms, type LocalGrant, type OwnerView } from './wallet.js'
