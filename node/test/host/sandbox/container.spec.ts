import assert from 'node:assert/strict'
import type Docker from 'dockerode'
import { containerOptions, ignoredWishes } from '../../../src/host/sandbox/docker/container.js'
import { ENVIRONMENT, LIMITS } from './support.js'

const options = containerOptions({
  id: '0123456789abcdef',
  owner: 'owner',
  engineId: 'sha256:1',
  spec: { image: { digest: 'x', environment: ENVIRONMENT }, argv: ['/bin/true'], limits: LIMITS },
  runtime: 'runsc',
  swap: true,
  init: true
})

/** What an engine would report that has done all that was asked, but for `changes`. */
function made(changes: object = {}, user = options.User): Docker.ContainerInspectInfo {
  // Only the fields that are looked at; the type has dozens.
  return {
    Config: { User: user },
    Mounts: [],
    HostConfig: { ...options.HostConfig, ...changes }
  } as unknown as Docker.ContainerInspectInfo
}

describe('what is asked of a Docker Engine', () => {
  it('is accepted when the engine has done it', () => {
    assert.deepEqual(ignoredWishes(options, made()), [])
  })

  for (const [name, changes] of Object.entries({
    'the runtime': { Runtime: 'runc' },
    'no network': { NetworkMode: 'bridge' },
    'the read-only root': { ReadonlyRootfs: false },
    'dropping capabilities': { CapDrop: null },
    'no new privileges': { SecurityOpt: ['seccomp={}'] },
    'the seccomp profile': { SecurityOpt: ['no-new-privileges', 'seccomp=unconfined'] },
    'read-only mounts, and no others': { Binds: ['/:/host'] },
    'no devices': { Devices: [{ PathOnHost: '/dev/kvm' }] },
    'not privileged': { Privileged: true },
    'private IPC': { IpcMode: 'host' },
    'the limit Memory': { Memory: 0 },
    'the limit MemorySwap': { MemorySwap: -1 },
    'the limit PidsLimit': { PidsLimit: null },
    'the limit CpuQuota': { CpuQuota: 0 }
  })) {
    it(`is refused when the engine ignored ${name}`, () => {
      assert.deepEqual(ignoredWishes(options, made(changes)), [name])
    })
  }

  it('is refused when the engine runs it as another user', () => {
    assert.deepEqual(ignoredWishes(options, made({}, 'root')), ['the user'])
  })

  it('splits the disk limit so that both places together have it', () => {
    const sizes = Object.values(options.HostConfig.Tmpfs as Record<string, string>).map(text =>
      Number(/size=(\d+)/.exec(text)?.[1])
    )
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      LIMITS.diskBytes
    )
  })
})
