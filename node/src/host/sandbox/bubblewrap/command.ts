/** The command line of a bubblewrap sandbox, as pure functions, so that what is asked for can be read and tested. */
import {
  BYTES_PER_INODE,
  FEWEST_INODES,
  OOM_SCORE_ADJ,
  SANDBOX_GID,
  SANDBOX_HOME,
  SANDBOX_HOSTNAME
} from '../constants.js'
import { SANDBOX_UID, SANDBOX_WORK, SHM_BYTES, TMP_SHARE } from '../constants.js'
import type { SandboxLimits, SandboxMount } from '../types.js'

export interface TreeEntry {
  name: string
  /** Target of a symbolic link; absent for a directory. */
  link?: string
}

/** What of a tree's top is not shown: made by the sandbox itself, or of no use in it. */
const NOT_SHOWN = new Set([
  'proc',
  'sys',
  'dev',
  'tmp',
  'home',
  'run',
  'root',
  'boot',
  'srv',
  'mnt',
  'media',
  'lost+found'
])

/** Files and directories of /proc that tell about the machine or reach into it. Docker masks the same, less `cmdline`. */
export const MASKED_FILES = [
  'cmdline',
  'kcore',
  'keys',
  'kallsyms',
  'key-users',
  'latency_stats',
  'sched_debug',
  'timer_list'
]
export const MASKED_DIRECTORIES = ['acpi', 'asound', 'driver', 'scsi']

/** Descriptors, beside the three standard ones, that the child process is given. */
export const DESCRIPTORS = { seccomp: 3, info: 4, arguments: 5, cpuinfo: 6, bootId: 7 } as const
const LAST_DESCRIPTOR = Math.max(...Object.values(DESCRIPTORS))

/** The same processor on every provider, for programs that read about it (R21); what the CPU itself says stays. */
export const UNIFORM_CPUINFO = `processor\t: 0
vendor_id\t: PEKKA
model name\t: PEKKA provider
cpu MHz\t\t: 2000.000
cache size\t: 16384 KB
physical id\t: 0
siblings\t: 1
core id\t\t: 0
cpu cores\t: 1
flags\t\t: fpu tsc cx8 cmov mmx fxsr sse sse2 ht syscall nx lm pni ssse3 cx16 sse4_1 sse4_2 popcnt
`
export const UNIFORM_BOOT_ID = '00000000-0000-4000-8000-000000000000\n'

export const homeBytes = (diskBytes: number) => diskBytes - tmpBytes(diskBytes)
export const tmpBytes = (diskBytes: number) => Math.floor(diskBytes * TMP_SHARE)
export const inodes = (bytes: number) => Math.max(FEWEST_INODES, Math.floor(bytes / BYTES_PER_INODE))

export interface SandboxView {
  /** Directory whose entries become the sandbox's root. */
  tree: string
  entries: readonly TreeEntry[]
  /** Names below /proc that exist on this machine. */
  masked: { files: readonly string[]; directories: readonly string[] }
  environment: Readonly<Record<string, string>>
  /** Prepared directories for what may be written; absent: bubblewrap makes its own, without a limit of inodes. */
  prepared?: { home: string; tmp: string; shm: string }
  mounts: readonly SandboxMount[]
  limits: SandboxLimits
}

/**
 * Options for `bwrap --args`, NUL-separated there. They are not on the command line because the sandbox's first
 * process shows it in /proc/1/cmdline, with the provider's paths.
 */
export function bubblewrapOptions(view: SandboxView): string[] {
  const { tree, entries, masked, prepared, mounts, limits } = view
  const writable = (path: string, size: number, mode: string, ready: string | undefined) =>
    ready === undefined ? ['--perms', mode, '--size', String(size), '--tmpfs', path] : ['--bind', ready, path]
  return [
    // Namespaces. Everything dies with the provider; a new session keeps it off the provider's terminal.
    ...['--unshare-user', '--unshare-ipc', '--unshare-pid', '--unshare-net', '--unshare-uts', '--unshare-cgroup-try'],
    ...['--disable-userns', '--die-with-parent', '--new-session'],
    ...['--hostname', SANDBOX_HOSTNAME, '--uid', String(SANDBOX_UID), '--gid', String(SANDBOX_GID)],
    ...['--cap-drop', 'ALL', '--seccomp', String(DESCRIPTORS.seccomp), '--info-fd', String(DESCRIPTORS.info)],
    // The image, read-only.
    ...entries
      .filter(({ name }) => !NOT_SHOWN.has(name))
      .flatMap(({ name, link }) =>
        link === undefined ? ['--ro-bind', `${tree}/${name}`, `/${name}`] : ['--symlink', link, `/${name}`]
      ),
    ...mounts.flatMap(({ source, target }) => ['--ro-bind', source, target]),
    // Kernel file systems, masked.
    ...['--proc', '/proc'],
    ...masked.files.flatMap(name => ['--ro-bind', '/dev/null', `/proc/${name}`]),
    ...masked.directories.flatMap(name => ['--perms', '0555', '--size', '4096', '--tmpfs', `/proc/${name}`]),
    ...masked.directories.flatMap(name => ['--remount-ro', `/proc/${name}`]),
    ...['--ro-bind-data', String(DESCRIPTORS.cpuinfo), '/proc/cpuinfo'],
    ...['--ro-bind-data', String(DESCRIPTORS.bootId), '/proc/sys/kernel/random/boot_id'],
    ...['--dev', '/dev', ...writable('/dev/shm', SHM_BYTES, '1777', prepared?.shm), '--remount-ro', '/dev'],
    // What may be written.
    ...['--dir', '/home', ...writable(SANDBOX_HOME, homeBytes(limits.diskBytes), '0700', prepared?.home)],
    ...(prepared === undefined ? ['--perms', '0755', '--dir', SANDBOX_WORK] : []),
    ...writable('/tmp', tmpBytes(limits.diskBytes), '1777', prepared?.tmp),
    ...['--remount-ro', '/', '--chdir', SANDBOX_WORK],
    // Nothing of the provider's environment.
    '--clearenv',
    ...Object.entries(view.environment).flatMap(([name, value]) => ['--setenv', name, value])
  ]
}

/**
 * Enters the control groups before anything else is started, so that nothing ever runs outside its limits, and closes
 * whatever descriptors the provider has itself inherited: they must not reach the sandbox. A shell that can't close
 * them (dash knows one-digit numbers only) fails here rather than hand them on.
 */
const ENTER = `
count=$1; shift
while [ "$count" -gt 0 ]; do echo 0 > "$1" || exit 125; shift; count=$((count - 1)); done
echo ${OOM_SCORE_ADJ} > /proc/self/oom_score_adj
for path in /proc/self/fd/*; do
  number=\${path##*/}
  if [ "$number" -gt ${LAST_DESCRIPTOR} ] && [ -e "$path" ]; then eval "exec $number>&-" || exit 125; fi
done
exec "$@"
`

/**
 * In a mount namespace of its own: the tree, and the writable places with limits of bytes *and* inodes, which only
 * root's own mount can give. The stage is the one place that the sandbox's user can reach wherever the tree lies.
 */
const STAGE = `
set -e
tree=$1 stage=$2 user=$3 home=$4 home_inodes=$5 tmp=$6 tmp_inodes=$7 shm=$8 mounts=$9; shift 9
mount -t tmpfs -o mode=0755,size=65536,nr_inodes=32,nosuid,nodev pekka "$stage"
mkdir "$stage/tree" "$stage/home" "$stage/tmp" "$stage/shm"
mount --bind "$tree" "$stage/tree"
mount -o remount,bind,ro,nosuid,nodev "$stage/tree"
mount -t tmpfs -o "mode=0700,size=$home,nr_inodes=$home_inodes,uid=$user,gid=$user,nosuid,nodev" pekka "$stage/home"
mount -t tmpfs -o "mode=1777,size=$tmp,nr_inodes=$tmp_inodes,uid=$user,gid=$user,nosuid,nodev" pekka "$stage/tmp"
mount -t tmpfs -o "mode=1777,size=$shm,nr_inodes=4096,uid=$user,gid=$user,nosuid,nodev" pekka "$stage/shm"
mkdir -m 0755 "$stage/home/work"
chown "$user:$user" "$stage/home/work"
while [ "$mounts" -gt 0 ]; do
  mounts=$((mounts - 1))
  mkdir "$stage/mount$mounts"
  mount --bind "$1" "$stage/mount$mounts"
  mount -o remount,bind,ro,nosuid,nodev "$stage/mount$mounts"
  shift
done
exec "$@"
`

/** Inside: a limit of processes that counts in the sandbox's own user namespace only (dash says -p, bash -u). */
const LIMIT_PROCESSES = 'ulimit -p "$0" 2>/dev/null || ulimit -u "$0" || exit 125; exec "$@"'

/**
 * Room above the memory limit for addresses that are reserved and never touched: thread stacks, arenas, and the
 * gigabytes that numerical libraries map at start. RLIMIT_DATA holds the real use of an unprivileged process.
 */
const ADDRESS_SLACK_BYTES = 4 * 2 ** 30

export interface LaunchPlan {
  bwrap: string
  /** The shell and its options before `-c`. bash would else read the user's ~/.bashrc where its input is a socket. */
  shell: readonly [string, ...string[]]
  /** cgroup.procs files to enter; empty for an unprivileged user without delegation. */
  entrances: readonly string[]
  limits: SandboxLimits
  argv: readonly string[]
  /** As root: where the tree is, the empty directory to stage in, and the sandbox's user on the host. */
  staged?: { tree: string; stage: string; user: number; mounts: readonly SandboxMount[] }
}

/** Where a mount is staged: the shell below counts down. */
export const stagedMount = (stage: string, mounts: readonly SandboxMount[], index: number): string =>
  `${stage}/mount${mounts.length - 1 - index}`

/** The whole command, to be started with the descriptors of {@link DESCRIPTORS}. */
export function launchCommand(plan: LaunchPlan): [string, ...string[]] {
  const { bwrap, shell, entrances, limits, argv, staged } = plan
  const [program, ...options] = shell
  const enter = [...options, '-c', ENTER, 'sh', String(entrances.length), ...entrances]
  const rlimits = [
    'prlimit',
    ...[`--nofile=${limits.files}:${limits.files}`, `--fsize=${limits.fileBytes}:${limits.fileBytes}`, '--core=0:0']
  ]
  const run = [bwrap, '--args', String(DESCRIPTORS.arguments), '--']
  if (staged !== undefined)
    return [program, ...enter, ...stage(staged, limits), ...rlimits, ...asUser(staged.user), ...run, ...argv]
  if (entrances.length > 0) return [program, ...enter, ...rlimits, ...run, ...argv]
  const { memoryBytes } = limits
  const address = memoryBytes + ADDRESS_SLACK_BYTES
  const memory = [`--data=${memoryBytes}:${memoryBytes}`, `--as=${address}:${address}`]
  const limited = ['/bin/sh', '-c', LIMIT_PROCESSES, String(limits.pids), ...argv]
  return [program, ...enter, ...rlimits, ...memory, ...run, ...limited]
}

function stage(
  { tree, stage, user, mounts }: NonNullable<LaunchPlan['staged']>,
  { diskBytes }: SandboxLimits
): string[] {
  const home = homeBytes(diskBytes)
  const tmp = tmpBytes(diskBytes)
  const values = [tree, stage, user, home, inodes(home), tmp, inodes(tmp), SHM_BYTES, mounts.length].map(String)
  return [
    'unshare',
    '--mount',
    '--propagation',
    'private',
    '--',
    '/bin/sh',
    '-c',
    STAGE,
    'sh',
    ...values,
    ...mounts.map(({ source }) => source)
  ]
}

const asUser = (user: number) => ['setpriv', '--reuid', String(user), '--regid', String(user), '--clear-groups', '--']
