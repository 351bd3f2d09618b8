import assert from 'node:assert/strict'
import { seccompFilter } from '../../../src/host/sandbox/seccomp/filter.js'
import { DENIED_CALLS, NEWEST_KNOWN_CALL, NUMBERS } from '../../../src/host/sandbox/seccomp/policy.js'
import { dockerSeccompProfile } from '../../../src/host/sandbox/seccomp/profile.js'

const X86_64 = 0xc000003e
const I386 = 0x40000003
const ALLOW = 'allow'
const KILL = 'kill'

interface Call {
  number: number
  architecture?: number
  /** Arguments as 64-bit values. */
  args?: bigint[]
}

/** A machine for classic BPF as the kernel has it, for the instructions a seccomp filter may use. */
function run(filter: Uint8Array, { number, architecture = X86_64, args = [] }: Call): string | number {
  const data = new DataView(new ArrayBuffer(64))
  data.setUint32(0, number >>> 0, true)
  data.setUint32(4, architecture, true)
  args.forEach((value, index) => data.setBigUint64(16 + index * 8, value, true))
  const program = new DataView(filter.buffer)
  let accumulator = 0
  for (let at = 0; ; at++) {
    const code = program.getUint16(at * 8, true)
    const [yes, no] = [program.getUint8(at * 8 + 2), program.getUint8(at * 8 + 3)]
    const value = program.getUint32(at * 8 + 4, true)
    const jump = (holds: boolean) => (at += holds ? yes : no)
    if (code === 0x20) accumulator = data.getUint32(value, true)
    else if (code === 0x15) jump(accumulator === value)
    else if (code === 0x25) jump(accumulator > value)
    else if (code === 0x35) jump(accumulator >= value)
    else if (code === 0x45) jump((accumulator & value) !== 0)
    else if (code === 0x06) {
      if (value === 0x7fff0000) return ALLOW
      return value === 0x80000000 ? KILL : value & 0xffff
    } else assert.fail(`instruction ${code}`)
  }
}

const call = (name: string, ...args: (number | bigint)[]): Call => {
  const number = NUMBERS[name]
  assert.ok(number !== undefined)
  return { number, args: args.map(BigInt) }
}

describe('seccomp filter', () => {
  const filter = seccompFilter()
  const EPERM = 1
  const ENOSYS = 38
  const EAFNOSUPPORT = 97

  it('refuses every call of the list that is denied outright, with its error', () => {
    for (const { name, errno, when } of DENIED_CALLS) {
      if (when === undefined) assert.equal(run(filter, call(name)), errno, name)
    }
  })

  it('lets ordinary calls through', () => {
    const denied = new Set(Object.values(NUMBERS))
    for (let number = 0; number <= NEWEST_KNOWN_CALL; number++) {
      if (!denied.has(number)) assert.equal(run(filter, { number, args: [0n, 0n, 0n] }), ALLOW, String(number))
    }
  })

  it('kills a caller through the 32-bit interface, and knows no x32 calls', () => {
    assert.equal(run(filter, { number: 39, architecture: I386 }), KILL)
    assert.equal(run(filter, { number: 39 + 0x40000000 }), ENOSYS)
    assert.equal(run(filter, { number: -1 }), ENOSYS)
  })

  it('answers to calls newer than the list as an older kernel would', () => {
    assert.equal(run(filter, { number: NEWEST_KNOWN_CALL + 1 }), ENOSYS)
  })

  it('lets threads and processes be made, namespaces not', () => {
    assert.equal(run(filter, call('clone', 0x003d0f00)), ALLOW, 'a thread as pthread_create makes it')
    assert.equal(run(filter, call('clone', 0x01200011)), ALLOW, 'fork')
    for (const flag of [0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]) {
      assert.equal(run(filter, call('clone', flag | 17)), EPERM, flag.toString(16))
    }
    assert.equal(run(filter, call('clone3')), ENOSYS)
  })

  it('looks at the low half of an argument only, as the kernel does', () => {
    assert.equal(run(filter, call('ioctl', 0, 0x5412)), EPERM)
    assert.equal(run(filter, call('ioctl', 0, 0x1_0000_5412n)), EPERM)
    assert.equal(run(filter, call('ioctl', 0, 0x5413)), ALLOW)
    assert.equal(run(filter, call('personality', 0)), ALLOW)
    assert.equal(run(filter, call('personality', 0x0400000)), EPERM)
  })

  it('allows the socket families that a network namespace holds', () => {
    for (const family of [1, 2, 10, 16]) assert.equal(run(filter, call('socket', family)), ALLOW)
    for (const family of [0, 3, 9, 15, 17, 38, 40, 255]) {
      assert.equal(run(filter, call('socket', family)), EAFNOSUPPORT, String(family))
    }
  })

  it('fails to build for a call it has no number of', () => {
    assert.throws(() => seccompFilter([{ name: 'no_such_call', errno: 1 }]), RangeError)
  })
})

describe('seccomp profile for Docker', () => {
  const { syscalls, architectures, defaultAction } = dockerSeccompProfile()

  it('denies the same calls as the filter', () => {
    assert.equal(defaultAction, 'SCMP_ACT_ALLOW')
    assert.deepEqual(architectures, ['SCMP_ARCH_X86_64'])
    assert.deepEqual(new Set(syscalls.flatMap(({ names }) => names)), new Set(DENIED_CALLS.map(({ name }) => name)))
  })

  it('never compares all 64 bits for equality, which the high half would get around', () => {
    const comparisons = syscalls.flatMap(({ args }) => args.map(({ op }) => op))
    assert.ok(comparisons.length > 0)
    assert.ok(comparisons.every(op => ['SCMP_CMP_MASKED_EQ', 'SCMP_CMP_NE', 'SCMP_CMP_GT'].includes(op)))
  })

  it('tests at most one argument per rule, as libseccomp demands for one argument', () => {
    assert.ok(syscalls.every(({ args }) => args.length <= 1))
  })
})
