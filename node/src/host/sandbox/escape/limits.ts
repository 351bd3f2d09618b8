import type { Probe } from './probe.js'

/** More than the limits of the task: processes, memory, disk, and the control groups that hold them. Bounded by BOMB, so that they harm nothing where they succeed. */
export const LIMITS: readonly Probe[] = [
  {
    name: 'fork-bomb',
    title: 'S5 more processes than the limit',
    quick: true,
    source: `
children, refused = [], None
for _ in range(arguments['bomb']['processes']):
    try:
        pid = os.fork()
        if pid == 0:
            signal.pause(); os._exit(0)
        children.append(pid)
    except OSError as error:
        refused = errno.errorcode[error.errno]; break
for pid in children: os.kill(pid, signal.SIGKILL)
for pid in children: os.waitpid(pid, 0)
(held if refused and len(children) <= arguments['pids'] + 3 else escaped)(f'{len(children)} children, then {refused}')
`
  },
  {
    name: 'memory-bomb',
    title: 'S6 more memory than the limit',
    quick: true,
    source: `
reader, writer = os.pipe()
pid = os.fork()
if pid == 0:
    first_victim()
    try:
        blocks = []
        for _ in range(arguments['bomb']['memoryBytes'] // (10 << 20)):
            blocks.append(bytearray(b'x') * (10 << 20))
        os.write(writer, b'all')
    except MemoryError:
        os.write(writer, b'refused')
    os._exit(0)
os.close(writer)
said = os.read(reader, 10)
status = os.waitpid(pid, 0)[1]
(escaped if said == b'all' else held)(f'said {said}, status {status}')
`
  },
  {
    name: 'shared-memory-bomb',
    title: 'S6 more memory than the limit, as files in memory that no process owns',
    quick: false,
    source: `
reader, writer = os.pipe()
pid = os.fork()
if pid == 0:
    first_victim()
    total, fds = 0, []
    try:
        while total < arguments['bomb']['memoryBytes']:
            fd = os.memfd_create('bomb'); fds.append(fd)
            for _ in range(8):
                total += os.write(fd, b'x' * (1 << 20))
        os.write(writer, b'all')
    except OSError as error:
        os.write(writer, b'refused')
    os._exit(0)
os.close(writer)
said = os.read(reader, 10)
status = os.waitpid(pid, 0)[1]
(escaped if said == b'all' else held)(f'said {said}, status {status}')
`
  },
  {
    name: 'disk-fill',
    title: 'S7 more bytes on disk than the limit, in all places that can be written together',
    quick: true,
    source: `
total, files = 0, []
for place in ('/home/pekka', '/tmp', '/var/tmp', '/run', '/'):
    part = 0
    while total < arguments['bomb']['diskBytes']:
        path = f'{place}/.pekka-fill-{part}'
        try:
            fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
        except OSError: break
        files.append(path); part += 1; before = total
        try:
            for _ in range(8): total += os.write(fd, b'x' * (1 << 20))
        except OSError: pass
        os.close(fd)
        if total == before: break
for path in files: os.unlink(path)
(escaped if total > arguments['diskBytes'] else held)(f'{total} bytes')
`
  },
  {
    name: 'large-file',
    title: 'S7 one file larger than the limit',
    quick: false,
    source: `
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = '/tmp/.pekka-large'
try:
    with open(path, 'wb') as f:
        os.ftruncate(f.fileno(), arguments['fileBytes'] + 1)
    escaped('made it')
except OSError as error:
    held(errno.errorcode[error.errno])
os.unlink(path)
`
  },
  {
    name: 'inode-fill',
    title: 'S7 more files than a disk of that size should hold',
    quick: false,
    source: `
directory = '/tmp/.pekka-files'
os.mkdir(directory)
count = 0
try:
    for count in range(1, arguments['bomb']['files'] + 1):
        os.close(os.open(f'{directory}/{count}', os.O_CREAT | os.O_WRONLY))
    refused = None
except OSError as error:
    refused = errno.errorcode[error.errno]
for name in os.listdir(directory): os.unlink(f'{directory}/{name}')
os.rmdir(directory)
(held if refused else escaped)(f'{count} files, then {refused}')
`
  },
  {
    name: 'cgroup-escape',
    title: 'S3 leave the limits: write cgroup files, release_agent, join another group',
    quick: true,
    source: `
got = []
for top, directories, names in os.walk('/sys/fs/cgroup'):
    if top.count('/') > 5: directories.clear()
    for name in names:
        if name in ('release_agent', 'cgroup.procs', 'tasks', 'memory.limit_in_bytes', 'pids.max', 'memory.max', 'cgroup.subtree_control'):
            try: os.close(os.open(os.path.join(top, name), os.O_WRONLY)); got.append(os.path.join(top, name))
            except OSError: pass
    try: os.mkdir(os.path.join(top, 'pekka-probe')); os.rmdir(os.path.join(top, 'pekka-probe')); got.append('mkdir ' + top)
    except OSError: pass
(escaped if got else held)(f'{got[:4]}')
`
  }
]
