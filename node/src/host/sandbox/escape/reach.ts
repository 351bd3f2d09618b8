import type { Probe } from './probe.js'

/** Out of the sandbox to the network, the machine's files and other processes. */
export const REACH: readonly Probe[] = [
  {
    name: 'network',
    title: 'S9 reach the network: metadata service, DNS, a listener of the machine, another interface',
    quick: true,
    source: `
open_ = []
for host, port in arguments['addresses']:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        # Datagrams to the sandbox's own loopback go nowhere and prove nothing.
        if kind == socket.SOCK_DGRAM and host.startswith('127.'): continue
        with socket.socket(socket.AF_INET, kind) as s:
            s.settimeout(2)
            try:
                s.connect((host, port))
                s.send(b'x')
                open_.append(f'{host}:{port}/{kind.name}')
            except OSError as error:
                pass
links = [name for _, name in socket.if_nameindex() if name != 'lo']
(escaped if open_ or links else held)(f'connected {open_}, interfaces {links}')
`
  },
  {
    name: 'socket-families',
    title: 'S9 sockets that no network namespace holds: vsock to the hypervisor, packets, crypto, Bluetooth',
    quick: true,
    source: `
got = []
for name, family, kind in (('vsock', 40, 1), ('packet', 17, 3), ('alg', 38, 5), ('key', 15, 3), ('tipc', 30, 5)):
    result, number = syscall(41, family, kind, 0)
    if result >= 0:
        os.close(result)
    if result >= 0:
        got.append(name)
(escaped if got else held)(f'opened {got}')
`
  },
  {
    name: 'processes',
    title: 'S2 see, signal, trace or read processes of the machine or of another sandbox',
    quick: true,
    source: `
mine = {os.getpid()}
pid = os.getpid()
while pid > 1:
    pid = int(open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[1])
    mine.add(pid)
others = [int(name) for name in os.listdir('/proc') if name.isdigit() and int(name) not in mine]
got = [f'sees {p}' for p in others]
victim = os.fork()
if victim == 0:
    time.sleep(30); os._exit(0)
if syscall(101, 16, victim, 0, 0)[0] >= 0: got.append('ptrace')
buffer = ctypes.create_string_buffer(8)
vector = struct.pack('<QQ', ctypes.addressof(buffer), 8)
if syscall(310, victim, vector, 1, vector, 1, 0)[0] >= 0: got.append('process_vm_readv')
os.kill(victim, signal.SIGKILL); os.waitpid(victim, 0)
try:
    # The first process of a container may be looked at; it must just not live in another file system than we do.
    if not os.path.samefile('/proc/1/root', '/'): got.append('/proc/1/root is another')
except OSError: pass
(escaped if got else held)(f'{got[:6]}')
`
  },
  {
    name: 'host-files',
    title: 'S4 files of the machine and sockets of its services (Docker, containerd, systemd, D-Bus)',
    quick: true,
    source: `
import stat
got = [path for path in arguments['hostFiles'] if os.path.lexists(path)]
sockets = ['docker.sock', 'containerd/containerd.sock', 'dbus/system_bus_socket', 'systemd/private', 'podman/podman.sock']
got += [f'/run/{name}' for name in sockets if os.path.lexists(f'/run/{name}')]
for top, directories, names in os.walk('/'):
    directories[:] = [d for d in directories if os.path.join(top, d) not in ('/proc', '/sys', '/usr', '/opt')]
    for name in names:
        try:
            if stat.S_ISSOCK(os.lstat(os.path.join(top, name)).st_mode): got.append(os.path.join(top, name))
        except OSError: pass
strange = [name for name in os.environ if 'TOKEN' in name or 'SECRET' in name or name.startswith(('DOCKER', 'PEKKA_HOME', 'SSH'))]
for fd in os.listdir('/proc/self/fd'):
    try: link = os.readlink(f'/proc/self/fd/{fd}')
    except OSError: continue
    if int(fd) > 2 and link != '/dev/null' and not link.startswith('/proc/'): got.append(f'fd {fd} {link}')
(escaped if got or strange else held)(f'{got[:6]} {strange}')
`
  },
  {
    name: 'handles',
    title: 'S13 files beyond the mounts by handle ("shocker")',
    quick: true,
    source: `
handle = struct.pack('<II', 128, 0) + bytes(128)
buffer = ctypes.create_string_buffer(handle, len(handle))
mount_id = ctypes.c_int()
result, number = syscall(303, -100, b'/tmp', buffer, ctypes.addressof(mount_id), 0)
if result >= 0:
    fd = os.open('/tmp', os.O_RDONLY)
    result, number = syscall(304, fd, buffer, os.O_RDONLY)
(escaped if result >= 0 else held)(f'{errno.errorcode.get(number)}')
`
  },
  {
    name: 'machine-identity',
    title:
      'R21 what tells one provider from another: host name, boot id, machine id, processor list, kernel command line',
    quick: false,
    source: `
got = []
if os.uname().nodename != 'pekka': got.append(os.uname().nodename)
for path in ('/etc/machine-id', '/var/lib/dbus/machine-id', '/sys/class/dmi/id/product_uuid', '/proc/cmdline'):
    try:
        with open(path) as f:
            if f.read().strip(): got.append(path)
    except OSError: pass
(escaped if got else held)(f'{got}')
`
  }
]
