import { isIP } from 'node:net'
import { join, resolve } from 'node:path'
import { PekkaError } from '../../core/protocol/index.js'

/** Files of a witness that somebody runs for a network of several people. They survive `pekka reset`. */
export interface WitnessPlaces {
  folder: string
  blockKey: string
  /** Of the account that stakes on it. */
  accountKey: string
  /** What was signed for that account and has no end that is known; mostly not there. */
  pending: string
  peerKey: string
  /** The last own block: never deleted, copied or set back. */
  lastProposed: string
  /** The public record, as `init` made it. */
  record: string
  genesis: string
  /** The database. */
  data: string
  /** What others, or this one after a loss, can begin with. */
  snapshots: string
  settings: string
  ready: string
}

/** @param folder another one than the home's; one process a folder */
export function witnessPlaces(home: string, folder?: string): WitnessPlaces {
  const base = folder === undefined ? join(home, 'witness') : resolve(folder)
  return {
    folder: base,
    blockKey: join(base, 'block.key'),
    accountKey: join(base, 'account.key'),
    pending: join(base, 'pending-transaction'),
    peerKey: join(base, 'peer.key'),
    lastProposed: join(base, 'last-proposed'),
    record: join(base, 'record.json'),
    genesis: join(base, 'genesis.cbor'),
    data: join(base, 'ledger'),
    snapshots: join(base, 'snapshots'),
    settings: join(base, 'settings.json'),
    ready: join(base, 'ready.json')
  }
}

/** Where to listen, as an IP address and a port. */
export interface Endpoint {
  ip: string
  port: number
}

/** `192.0.2.1:7100`, `[2001:db8::1]:7100` or `/ip4/192.0.2.1/tcp/7100`. @throws PekkaError USAGE */
export function readEndpoint(text: string): Endpoint {
  const [, ip = '', digits = ''] =
    /^\/ip[46]\/([^/]+)\/tcp\/(\d{1,5})$/.exec(text) ??
    /^\[([0-9a-f:.]+)\]:(\d{1,5})$/i.exec(text) ??
    /^([0-9.]+):(\d{1,5})$/.exec(text) ??
    []
  const port = Number(digits)
  if (isIP(ip) === 0 || port < 1 || port > 65_535)
    throw new PekkaError('USAGE', {
      issue: `--listen ${text} is not understood; write an IP address and a port, for example --listen 0.0.0.0:7100.`
    })
  return { ip, port }
}

export const multiaddrOf = ({ ip, port }: Endpoint): string => `/ip${isIP(ip)}/${ip}/tcp/${port}`

/** A witness's whole address, `/ip4/192.0.2.1/tcp/7100/p2p/12D3…`. @throws PekkaError USAGE */
export function readWitnessAddress(text: string, option: string): string {
  if (!/^\/(ip4|ip6|dns|dns4|dns6)\/[^/]+\/tcp\/\d{1,5}\/p2p\/[1-9A-HJ-NP-Za-km-z]+$/.test(text))
    throw new PekkaError('USAGE', {
      issue: `${option} ${text} is no address of a witness; that looks like /ip4/192.0.2.1/tcp/7100/p2p/12D3…, as "pekka witness start" prints it.`
    })
  return text
}
