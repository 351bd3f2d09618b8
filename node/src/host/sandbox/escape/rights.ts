import type { Probe } from './probe.js'

/** Rights that a task must not have or gain: mounts, namespaces, users, capabilities, devices, kernel interfaces. */
export const RIGHTS: readonly Probe[] = [
  {
    name: 'root-write',
    title: 'S7 write into the image or anywhere outside /home/pekka, /tmp and /dev/shm',
    quick: true,
    source: `
written = []
allowed = ('/home/pekka', '/tmp', '/dev/shm', '/proc', '/sys', '/dev/pts', '/dev/mqueue')
places = ['/', '/usr', '/usr/bin', '/etc', '/opt', '/opt/pekka', '/var', '/var/tmp', '/dev', '/run', '/root', '/home']
for top, directories, _ in os.walk('/'):
    directories[:] = [d for d in directories if not os.path.join(top, d).startswith(allowed)]
    if top.count('/') >= 3: directories.clear()
    places.append(top)
for place in dict.fromkeys(places):
    path = os.path.join(place, '.pekka-probe')
    try:
        with open(path, 'w') as f: f.write('x')
        os.unlink(path)
        written.append(place)
    except OSError: pass
for path in ('/etc/passwd', '/usr/bin/env', sys.executable):
    try: os.close(os.open(os.path.realpath(path), os.O_WRONLY)); written.append(path)
    except OSError: pass
(escaped if written else held)(f'written {written[:5]}')
`
  },
  {
    name: 'mount',
    title: 'S1 mount, bind, remount writable, unmount, pivot, chroot',
    quick: true,
    source: `
got = []
def attempt(name, number, *args):
    if syscall(number, *args)[0] >= 0: got.append(name)
target = b'/tmp/.pekka-mount'
os.makedirs(target, exist_ok=True)
attempt('tmpfs', 165, b'none', target, b'tmpfs', 0, None)
attempt('cgroup', 165, b'none', target, b'cgroup2', 0, None)
attempt('bind', 165, b'/etc', target, None, 4096, None)
attempt('remount', 165, None, b'/', None, 32 | 4096, None)
attempt('fsopen', 430, b'tmpfs', 0)
attempt('open_tree', 428, -100, b'/', 1)
attempt('chroot', 161, b'/')
for _ in range(4): syscall(166, target, 2)
os.rmdir(target)
(escaped if got else held)(f'worked: {got}')
`
  },
  {
    name: 'namespaces',
    title: 'S1 new rights through new namespaces: unshare, clone, clone3, setns',
    quick: true,
    source: `
got = []
def child(name, attempt):
    pid = os.fork()
    if pid == 0: os._exit(0 if attempt() else 1)
    if os.waitpid(pid, 0)[1] == 0: got.append(name)
for name, flag in (('user', 0x10000000), ('mount', 0x20000), ('net', 0x40000000), ('pid', 0x20000000)):
    child('unshare ' + name, lambda: syscall(272, flag)[0] >= 0)
def cloned():
    result, _ = syscall(56, 0x10000000 | 17, 0, 0, 0, 0)
    if result == 0: os._exit(0)
    if result > 0: os.waitpid(result, 0)
    return result > 0
child('clone user', cloned)
def cloned3():
    result, _ = syscall(435, struct.pack('<8Q', 0x10000000, 0, 0, 0, 17, 0, 0, 0), 64)
    if result == 0: os._exit(0)
    if result > 0: os.waitpid(result, 0)
    return result > 0
child('clone3 user', cloned3)
def joined():
    fd = os.open('/proc/1/ns/net', os.O_RDONLY)
    return syscall(308, fd, 0)[0] >= 0
def tried(attempt):
    try: return attempt()
    except OSError: return False
child('setns', lambda: tried(joined))
(escaped if got else held)(f'worked: {got}')
`
  },
  {
    name: 'devices',
    title: 'S17 devices: make them, or find disks, memory, KVM, FUSE, loop',
    quick: true,
    source: `
import stat
got = []
for place in ('/tmp', '/home/pekka', '/dev'):
    path = f'{place}/.pekka-device'
    try:
        os.mknod(path, 0o600 | stat.S_IFBLK, os.makedev(7, 0)); got.append(f'mknod in {place}'); os.unlink(path)
    except OSError: pass
harmless = {'null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx', 'console'}
for name in os.listdir('/dev'):
    path = f'/dev/{name}'
    mode = os.lstat(path).st_mode
    if (stat.S_ISBLK(mode) or stat.S_ISCHR(mode)) and name not in harmless: got.append(path)
for name in ('mem', 'kmem', 'port', 'kvm', 'fuse', 'loop-control', 'vda', 'sda'):
    try: os.close(os.open(f'/dev/{name}', os.O_RDONLY)); got.append(f'opened {name}')
    except OSError: pass
(escaped if got else held)(f'{got[:6]}')
`
  },
  {
    name: 'capabilities',
    title: 'S14 capabilities, no_new_privs, seccomp, groups',
    quick: true,
    source: `
status = dict(line.split(':\\t', 1) for line in open('/proc/self/status').read().splitlines() if ':\\t' in line)
wrong = [f'{key}={status[key]}' for key in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb') if int(status[key], 16)]
if status['NoNewPrivs'] != '1': wrong.append('no_new_privs is off')
if status['Seccomp'] != '2': wrong.append('no seccomp filter')
if set(status['Uid'].split()) != {'10001'} or set(status['Gid'].split()) != {'10001'}: wrong.append('other user')
if set(os.getgroups()) - {10001}: wrong.append(f'groups {os.getgroups()}')
(escaped if wrong else held)(f'{wrong}')
`
  },
  {
    name: 'setuid',
    title: 'S14 another user: setuid, setgid, chown, a setuid file',
    quick: true,
    source: `
got = []
def attempt(name, call):
    pid = os.fork()
    if pid == 0:
        try: call(); os._exit(0)
        except OSError: os._exit(1)
    if os.waitpid(pid, 0)[1] == 0: got.append(name)
attempt('setuid 0', lambda: os.setuid(0))
attempt('setuid 1', lambda: os.setuid(1))
attempt('setgid 0', lambda: os.setgid(0))
attempt('setgroups', lambda: os.setgroups([0]))
path = '/tmp/.pekka-setuid'
open(path, 'w').close()
attempt('chown', lambda: os.chown(path, 1, 1))
os.unlink(path)
(escaped if got else held)(f'worked: {got}')
`
  },
  {
    name: 'kernel-interfaces',
    title: 'S18 io_uring, userfaultfd, bpf, keyctl, perf_event_open',
    quick: true,
    source: `
got = []
def attempt(name, number, *args):
    result, _ = syscall(number, *args)
    if result >= 0: got.append(name)
    return result
attempt('io_uring', 425, 4, bytes(120))
attempt('userfaultfd', 323, 0)
attempt('bpf', 321, 0, struct.pack('<4I', 2, 4, 4, 1) + bytes(104), 120)
attempt('keyctl', 250, 0, -3, 1)
attempt('add_key', 248, b'user', b'pekka', b'x', 1, -2)
attempt('perf', 298, struct.pack('<IIQ', 1, 112, 0) + bytes(96), 0, -1, -1, 0)
attempt('fanotify', 300, 0, 0)
(escaped if got else held)(f'worked: {got}')
`
  },
  {
    name: 'kernel-files',
    title: 'S3 core_pattern, sysrq, kcore, kallsyms, modprobe, uevent_helper: only opened, never written',
    quick: true,
    source: `
got = []
for path in ('/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', '/proc/sys/kernel/modprobe', '/proc/sys/vm/drop_caches',
             '/proc/sys/fs/binfmt_misc/register', '/sys/kernel/uevent_helper', '/proc/irq/default_smp_affinity',
             '/sys/kernel/mm/transparent_hugepage/enabled'):
    try: os.close(os.open(path, os.O_WRONLY)); got.append(path)
    except OSError: pass
for path in ('/proc/kcore', '/proc/keys', '/proc/timer_list', '/proc/kallsyms', '/proc/cmdline', '/sys/firmware/acpi/tables/DSDT'):
    try:
        with open(path, 'rb') as f:
            if f.read(1): got.append(path)
    except OSError: pass
try:
    if os.listdir('/sys/firmware'): got.append('/sys/firmware')
except OSError: pass
(escaped if got else held)(f'{got}')
`
  }
]
