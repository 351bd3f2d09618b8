/**
 * The world in which each escape probe is run once more, without any defence: the same tree, writable, as root, with the
 * machine's devices and kernel file systems, a network with the metadata address in it, and no limit. It has mounts,
 * processes and network of its own, so that what a probe does stays in it and ends with it.
 */
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { parseVerdicts, probeInput, type Verdict } from '../../../src/host/sandbox/escape/run.js'
import { PROBE_DRIVER, type Probe, type ProbeTargets } from '../../../src/host/sandbox/escape/probes.js'

/** What a careless provider would have: the metadata service, a DNS server and a Docker socket within reach. */
const WORLD = `
set -e
root=$(mktemp -d)
mount -t tmpfs none "$root"; mkdir "$root/upper" "$root/work" "$root/all"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$root/upper,workdir=$root/work" "$root/all"
cd "$root/all"
mount -t proc proc proc; mount --rbind /dev dev; mount --rbind /sys sys; mount -t tmpfs none tmp; mount -t tmpfs none run
mkdir -p run var/tmp "./$(dirname "$2")"; : > "./$2"; : > run/docker.sock
echo 0123456789abcdef0123456789abcdef > etc/machine-id
ip link set lo up; ip address add 169.254.169.254/32 dev lo; ip address add 192.0.2.1/32 dev lo
sleep 100 &
shift 2
exec chroot . "$@"
`

/** Answers on the addresses that the network probe tries, inside the control's own network. */
const LISTEN = `
import socket, sys
listeners = []
for host, port in (('169.254.169.254', 80), ('192.0.2.1', 53)):
    s = socket.socket(); s.bind((host, port)); s.listen(); listeners.append(s)
`

export async function runWithoutDefence(
  root: string,
  probes: readonly Probe[],
  targets: ProbeTargets
): Promise<Verdict[]> {
  const [canary = '/tmp/canary'] = targets.hostFiles
  const python = ['/opt/pekka/env/bin/python', '-I', '-c', LISTEN + PROBE_DRIVER]
  const child = spawn(
    'unshare',
    [
      ...['--mount', '--pid', '--net', '--ipc', '--uts', '--fork', '--kill-child', '--propagation', 'private', '--'],
      ...['/bin/sh', '-c', WORLD, 'sh', root, canary, ...python]
    ],
    { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', SSH_AUTH_SOCK: '/tmp/agent' } }
  )
  child.stdin.on('error', () => {})
  child.stdin.end(probeInput(probes, targets))
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
  const verdicts = parseVerdicts(probes, output)
  if (verdicts.every(({ escaped }) => escaped === null)) throw new Error(`the control could not be set up: ${errors}`)
  return verdicts
}
