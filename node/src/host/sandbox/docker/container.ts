/** What is asked of the engine for one sandbox (research: reliability-security §2.3), and whether it did it. */
import type Docker from 'dockerode'
import {
  BYTES_PER_INODE,
  CPU_PERIOD_US,
  FEWEST_INODES,
  OOM_SCORE_ADJ,
  RUNTIME_PIDS,
  SANDBOX_GID
} from '../constants.js'
import { SANDBOX_HOME, SANDBOX_HOSTNAME, SANDBOX_UID, SANDBOX_WORK, SHM_BYTES, TMP_SHARE } from '../constants.js'
import { dockerSeccompProfile } from '../seccomp/profile.js'
import type { AdjustableLimits, SandboxSpec } from '../types.js'

/** Labels by which `cleanup` finds what is ours. */
export const OWNER_LABEL = 'org.pekka.owner'
export const SANDBOX_LABEL = 'org.pekka.sandbox'

/** Docker's own list and /proc/cmdline, which tells machines apart (R21). Giving a list replaces Docker's. */
const MASKED_PATHS = [
  ...['/proc/asound', '/proc/acpi', '/proc/cmdline', '/proc/kallsyms', '/proc/kcore', '/proc/keys', '/proc/key-users'],
  ...[
    '/proc/latency_stats',
    '/proc/timer_list',
    '/proc/timer_stats',
    '/proc/sched_debug',
    '/proc/scsi',
    '/proc/driver'
  ],
  ...['/sys/firmware', '/sys/devices/virtual/powercap', '/sys/devices/virtual/dmi', '/sys/class/dmi']
]
const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

/** The working directory lies on a tmpfs that is empty when the container starts, so it is made inside. */
const IN_WORK = `mkdir -p ${SANDBOX_WORK} && cd ${SANDBOX_WORK} && exec "$@"`

export interface ContainerPlan {
  id: string
  owner: string
  engineId: string
  spec: SandboxSpec
  /** `runsc` where the engine has it, else the engine's default. */
  runtime: string
  /** The engine can give `no swap`. */
  swap: boolean
  init: boolean
}

export function adjustable({ memoryBytes, cpus, pids }: AdjustableLimits, swap: boolean) {
  return {
    Memory: memoryBytes,
    ...(swap ? { MemorySwap: memoryBytes } : {}),
    // Quota and period rather than NanoCpus: engines differ in letting NanoCpus be updated, these always can be.
    CpuPeriod: CPU_PERIOD_US,
    CpuQuota: Math.max(1000, Math.round(cpus * CPU_PERIOD_US)),
    PidsLimit: pids + RUNTIME_PIDS
  }
}

/** The Engine API has had the field since 1.41; dockerode's types haven't. */
type HostWish = Docker.HostConfig & { CgroupnsMode: 'private' }
type ContainerWish = Docker.ContainerCreateOptions & { HostConfig: HostWish }

export function containerOptions(plan: ContainerPlan): ContainerWish {
  const { limits, argv, image, environment, mounts = [] } = plan.spec
  const tmp = Math.floor(limits.diskBytes * TMP_SHARE)
  const place = (bytes: number, mode: string) => {
    const inodes = Math.max(FEWEST_INODES, Math.floor(bytes / BYTES_PER_INODE))
    return `rw,exec,nosuid,nodev,size=${bytes},nr_inodes=${inodes},mode=${mode},uid=${SANDBOX_UID},gid=${SANDBOX_GID}`
  }
  return {
    name: `pekka-${plan.id}`,
    Image: plan.engineId,
    Hostname: SANDBOX_HOSTNAME,
    Domainname: '',
    User: `${SANDBOX_UID}:${SANDBOX_GID}`,
    WorkingDir: '/',
    Entrypoint: ['/bin/sh', '-c', IN_WORK, 'sh'],
    Cmd: [...argv],
    Env: Object.entries({ ...image.environment, ...environment }).map(([name, value]) => `${name}=${value}`),
    Labels: { [OWNER_LABEL]: plan.owner, [SANDBOX_LABEL]: plan.id },
    Tty: false,
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    NetworkDisabled: true,
    HostConfig: {
      ...adjustable(limits, plan.swap),
      Runtime: plan.runtime,
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      Privileged: false,
      SecurityOpt: ['no-new-privileges', `seccomp=${JSON.stringify(dockerSeccompProfile())}`],
      MaskedPaths: MASKED_PATHS,
      ReadonlyPaths: READONLY_PATHS,
      Ulimits: [
        { Name: 'nofile', Soft: limits.files, Hard: limits.files },
        { Name: 'fsize', Soft: limits.fileBytes, Hard: limits.fileBytes },
        { Name: 'core', Soft: 0, Hard: 0 }
      ],
      Mounts: mounts.map(({ source, target }) => ({
        Type: 'bind',
        Source: source,
        Target: target,
        ReadOnly: true,
        // A directory that isn't there is an error, not an empty one of root's.
        BindOptions: { Propagation: 'rprivate' }
      })),
      Tmpfs: { [SANDBOX_HOME]: place(limits.diskBytes - tmp, '0700'), '/tmp': place(tmp, '1777') },
      ShmSize: SHM_BYTES,
      LogConfig: { Type: 'none', Config: {} },
      IpcMode: 'private',
      CgroupnsMode: 'private',
      Init: plan.init,
      OomScoreAdj: OOM_SCORE_ADJ,
      AutoRemove: false,
      RestartPolicy: { Name: 'no' }
    }
  }
}

/**
 * Engines accept what they then leave out (Podman took `Runtime: runsc` and ran runc). So after creating we read what
 * became of the wishes.
 * @returns what was left out, in words; empty where all is as asked
 */
export function ignoredWishes(asked: ContainerWish, made: Docker.ContainerInspectInfo): string[] {
  const wish = asked.HostConfig
  const has = made.HostConfig
  const security: string[] = has.SecurityOpt ?? []
  const checks: [string, boolean][] = [
    ['the runtime', has.Runtime === wish.Runtime],
    ['no network', has.NetworkMode === 'none'],
    ['the read-only root', has.ReadonlyRootfs === true],
    ['dropping capabilities', JSON.stringify(has.CapDrop) === JSON.stringify(wish.CapDrop) && isEmpty(has.CapAdd)],
    ['no new privileges', security.some(option => option.startsWith('no-new-privileges'))],
    ['the seccomp profile', security.some(option => option.startsWith('seccomp=') && option !== 'seccomp=unconfined')],
    ['the user', made.Config.User === asked.User],
    ['read-only mounts, and no others', isEmpty(has.Binds) && mountsAsAsked(wish.Mounts ?? [], made)],
    ['no devices', isEmpty(has.Devices)],
    ['not privileged', has.Privileged === false],
    ['private IPC', has.IpcMode === 'private'],
    ...ignoredLimits(wish, has)
  ]
  return checks.filter(([, kept]) => !kept).map(([name]) => name)
}

function mountsAsAsked(
  wish: readonly { Source: string; Target: string }[],
  made: Docker.ContainerInspectInfo
): boolean {
  const binds = made.Mounts?.filter(({ Type }) => (Type as string) !== 'tmpfs') ?? []
  const asked = (bind: (typeof binds)[number]) =>
    !bind.RW && wish.some(({ Source, Target }) => Source === bind.Source && Target === bind.Destination)
  return binds.length === wish.length && binds.every(asked)
}

export function ignoredLimits(wish: Docker.HostConfig, has: Docker.HostConfig): [string, boolean][] {
  const keys = ['Memory', 'MemorySwap', 'CpuPeriod', 'CpuQuota', 'PidsLimit'] as const
  return keys
    .filter(key => wish[key] !== undefined)
    .map((key): [string, boolean] => [`the limit ${key}`, has[key] === wish[key]])
}

const isEmpty = (list: readonly unknown[] | null | undefined) =>
  list === null || list === undefined || list.length === 0
