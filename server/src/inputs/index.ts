/**
 * Declared inputs: data of an address, fetched for a task outside of its sandbox, which has no network. Only what the
 * operator allows, only from public servers, never from what this computer alone can reach.
 *
 * ```ts
 * const inputs = new Inputs({ log }, { folder, policy: { allow: ['*'], allowPrivate: [], maxBytes: 1 << 30 } })
 * await inputs.start()
 * const { hash, size } = await inputs.fetch('https://data.example.org/table.csv')
 * ```
 *
 * @packageDocumentation
 */
export { isPublic } from './addresses.js'
export { fetchInput, type FetchPolicy, type Found, type Resolve } from './fetch.js'
export { Inputs, type InputsComponents, type InputsInit } from './inputs.js'
export { inputRoutes } from './routes.js'
