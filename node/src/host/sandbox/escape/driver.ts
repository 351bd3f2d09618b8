/** Python that runs probes one after the other, each in a process of its own, and prints a JSON line for each. */
export const PROBE_DRIVER = `
import json, os, sys, socket, ctypes, errno, signal, time, struct
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def syscall(number, *args):
    ctypes.set_errno(0)
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    result = libc.syscall(ctypes.c_long(number), *words)
    return result, ctypes.get_errno()
# The kernel's choice among processes that are alike would else be the one that reports.
def first_victim():
    with open('/proc/self/oom_score_adj', 'w') as f: f.write('1000')
given = json.load(sys.stdin)
for name, source in given['probes']:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.set_inheritable(writer, False)
        verdicts = []
        scope = dict(globals(), arguments=given['arguments'], writer=None, reader=None)
        scope['escaped'] = lambda detail='': verdicts.append((True, str(detail)))
        scope['held'] = lambda detail='': verdicts.append((False, str(detail)))
        keep = os.dup(writer); os.close(writer); os.dup2(keep, 1); os.close(keep)
        try:
            exec(compile(source, name, 'exec'), scope)
            verdict = {'escaped': verdicts[0][0], 'detail': verdicts[0][1]}
        except BaseException as error:
            verdict = {'escaped': None, 'detail': repr(error)}
        os.write(1, json.dumps(verdict).encode())
        os._exit(0)
    os.close(writer)
    data = b''
    while piece := os.read(reader, 65536): data += piece
    os.close(reader)
    status = os.waitpid(pid, 0)[1]
    try: verdict = json.loads(data)
    except ValueError: verdict = {'escaped': None, 'detail': f'ended with status {status}'}
    print(json.dumps({'probe': name, **verdict}), flush=True)
`
