/**
 * What a program in a sandbox may not ask the kernel for: one list, from which the filter of bubblewrap (`filter.ts`)
 * and the profile of Docker (`profile.ts`) are made, so both runtimes refuse the same calls.
 *
 * It allows by default. Scientific programs call nearly everything that does no harm, and a list of what is allowed
 * breaks with every new libc; what must not be reachable is short and known. The second line stands behind it: no
 * capabilities, an own user, own namespaces, so most of these would fail even unfiltered.
 */

/** Linux error numbers that the filter answers with. */
export const EPERM = 1
export const ENOSYS = 38
export const EAFNOSUPPORT = 97

/** A test of one argument. Only its low 32 bits count, as in the kernel's own handling of these arguments. */
export interface ArgumentTest {
  index: 0 | 1 | 2 | 3 | 4 | 5
  test: 'equal' | 'not-equal' | 'greater' | 'any-bit'
  value: number
}

export interface DeniedCall {
  /** The kernel's name of the call; its number stands in {@link NUMBERS}. */
  name: string
  errno: number
  /** Refused only if this holds. Without it the call is always refused. */
  when?: ArgumentTest
}

/** CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET of linux/sched.h. */
const CLONE_NEW_NAMESPACES =
  0x00000080 | 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000

const TIOCSTI = 0x5412
const TIOCLINUX = 0x541c

/** Address families that stay: unix, inet, inet6 (loopback of the own namespace) and netlink (for getifaddrs). */
const ALLOWED_FAMILIES = [1, 2, 10, 16]
const HIGHEST_ALLOWED_FAMILY = 16

const always = (...names: string[]): DeniedCall[] => names.map(name => ({ name, errno: EPERM }))

export const DENIED_CALLS: readonly DeniedCall[] = [
  // Namespaces and mounts: new rights over old kernel code, the way most container escapes begin.
  ...always('unshare', 'setns', 'mount', 'umount2', 'pivot_root', 'chroot', 'fsopen', 'fsconfig', 'fsmount', 'fspick'),
  ...always('open_tree', 'move_mount', 'mount_setattr', 'open_tree_attr'),
  { name: 'clone', errno: EPERM, when: { index: 0, test: 'any-bit', value: CLONE_NEW_NAMESPACES } },
  // Its flags lie in memory, where a filter can't read them. libc falls back to clone on ENOSYS.
  { name: 'clone3', errno: ENOSYS },

  // Big kernel interfaces with a long list of holes and no use for a computation.
  ...always('bpf', 'userfaultfd', 'perf_event_open', 'fanotify_init', 'add_key', 'request_key', 'keyctl'),
  // ENOSYS, so that libraries take their way without it instead of failing.
  ...['io_uring_setup', 'io_uring_enter', 'io_uring_register'].map(name => ({ name, errno: ENOSYS })),

  // Other processes.
  ...always('ptrace', 'process_vm_readv', 'process_vm_writev', 'process_madvise', 'pidfd_getfd', 'kcmp'),

  // The machine itself.
  ...always('kexec_load', 'kexec_file_load', 'create_module', 'init_module', 'finit_module', 'delete_module'),
  ...always('query_module', 'get_kernel_syms', 'reboot', 'swapon', 'swapoff', 'acct', 'quotactl', 'quotactl_fd'),
  ...always('settimeofday', 'clock_settime', 'adjtimex', 'clock_adjtime', 'sethostname', 'setdomainname', 'syslog'),
  ...always(
    'iopl',
    'ioperm',
    'modify_ldt',
    'vhangup',
    'nfsservctl',
    'lookup_dcookie',
    'uselib',
    'ustat',
    'sysfs',
    '_sysctl'
  ),

  // Files by handle reach beyond the mounts that a sandbox sees (the "shocker" escape).
  ...always('open_by_handle_at', 'name_to_handle_at'),

  // Old personalities switch protections off (READ_IMPLIES_EXEC, ADDR_NO_RANDOMIZE, mmap at page 0).
  { name: 'personality', errno: EPERM, when: { index: 0, test: 'not-equal', value: 0 } },

  // Typing into the terminal that started us.
  { name: 'ioctl', errno: EPERM, when: { index: 1, test: 'equal', value: TIOCSTI } },
  { name: 'ioctl', errno: EPERM, when: { index: 1, test: 'equal', value: TIOCLINUX } },

  // Families without namespaces reach the machine around our network namespace: vsock talks to the hypervisor.
  ...Array.from({ length: HIGHEST_ALLOWED_FAMILY + 1 }, (_, family) => family)
    .filter(family => !ALLOWED_FAMILIES.includes(family))
    .map((value): DeniedCall => ({ name: 'socket', errno: EAFNOSUPPORT, when: { index: 0, test: 'equal', value } })),
  { name: 'socket', errno: EAFNOSUPPORT, when: { index: 0, test: 'greater', value: HIGHEST_ALLOWED_FAMILY } }
]

/** Call numbers of x86-64 (asm/unistd_64.h). They are the kernel's for ever. */
export const NUMBERS: Readonly<Record<string, number>> = {
  ioctl: 16,
  socket: 41,
  clone: 56,
  ptrace: 101,
  syslog: 103,
  uselib: 134,
  personality: 135,
  ustat: 136,
  sysfs: 139,
  vhangup: 153,
  modify_ldt: 154,
  pivot_root: 155,
  _sysctl: 156,
  adjtimex: 159,
  chroot: 161,
  acct: 163,
  settimeofday: 164,
  mount: 165,
  umount2: 166,
  swapon: 167,
  swapoff: 168,
  reboot: 169,
  sethostname: 170,
  setdomainname: 171,
  iopl: 172,
  ioperm: 173,
  create_module: 174,
  init_module: 175,
  delete_module: 176,
  get_kernel_syms: 177,
  query_module: 178,
  quotactl: 179,
  nfsservctl: 180,
  lookup_dcookie: 212,
  clock_settime: 227,
  kexec_load: 246,
  add_key: 248,
  request_key: 249,
  keyctl: 250,
  unshare: 272,
  perf_event_open: 298,
  fanotify_init: 300,
  name_to_handle_at: 303,
  open_by_handle_at: 304,
  clock_adjtime: 305,
  setns: 308,
  process_vm_readv: 310,
  process_vm_writev: 311,
  kcmp: 312,
  finit_module: 313,
  kexec_file_load: 320,
  bpf: 321,
  userfaultfd: 323,
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  clone3: 435,
  pidfd_getfd: 438,
  process_madvise: 440,
  mount_setattr: 442,
  quotactl_fd: 443,
  open_tree_attr: 467
}

/**
 * The newest call this list was checked against (Linux 6.16, `file_setattr`). The filter answers ENOSYS to anything
 * newer, as an older kernel would: what nobody has looked at is not reachable. To be raised after reading what is new.
 */
export const NEWEST_KNOWN_CALL = 469
