/** The deny list as a classic BPF program, in the form `bwrap --seccomp FD` reads (struct sock_filter, little endian). */
import { DENIED_CALLS, ENOSYS, NEWEST_KNOWN_CALL, NUMBERS, type ArgumentTest, type DeniedCall } from './policy.js'

// linux/bpf_common.h
const LOAD_WORD = 0x20
const JUMP_EQUAL = 0x15
const JUMP_GREATER = 0x25
const JUMP_GREATER_OR_EQUAL = 0x35
const JUMP_ANY_BIT = 0x45
const RETURN = 0x06

// linux/seccomp.h
const KILL_PROCESS = 0x80000000
const ANSWER_ERRNO = 0x00050000
const ALLOW = 0x7fff0000

// struct seccomp_data: nr at 0, arch at 4, args (8 bytes each, little endian) from 16
const OFFSET_NUMBER = 0
const OFFSET_ARCHITECTURE = 4
const OFFSET_ARGUMENTS = 16

/** AUDIT_ARCH_X86_64. Any other means 32-bit calls, whose numbers mean other things. */
const X86_64 = 0xc000003e
/** Calls of the x32 interface carry this bit and would pass a filter that compares numbers only. */
const X32_BIT = 0x40000000

/** The kernel takes no longer program (BPF_MAXINSNS). */
const LONGEST_PROGRAM = 4096

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number]

const answer = (errno: number): Instruction => [RETURN, 0, 0, (ANSWER_ERRNO | errno) >>> 0]

/** Skips the next instruction unless the test holds. */
function unlessSkip({ test, value }: ArgumentTest): Instruction {
  switch (test) {
    case 'equal':
      return [JUMP_EQUAL, 0, 1, value]
    case 'not-equal':
      return [JUMP_EQUAL, 1, 0, value]
    case 'greater':
      return [JUMP_GREATER, 0, 1, value]
    case 'any-bit':
      return [JUMP_ANY_BIT, 0, 1, value]
  }
}

/** What is done once the call's number is known to be the one of `denials`. */
function verdict(denials: readonly DeniedCall[]): Instruction[] {
  const outright = denials.find(denial => denial.when === undefined)
  if (outright !== undefined) return [answer(outright.errno)]
  const tests = denials.flatMap((denial): Instruction[] =>
    denial.when === undefined
      ? []
      : [[LOAD_WORD, 0, 0, OFFSET_ARGUMENTS + 8 * denial.when.index], unlessSkip(denial.when), answer(denial.errno)]
  )
  return [...tests, [RETURN, 0, 0, ALLOW]]
}

/**
 * Assembles the program. Deterministic; about 200 instructions. The kernel caches which calls are always allowed, so
 * ordinary calls don't even run it.
 *
 * @throws RangeError if a call has no number here or the program grows beyond what the kernel takes
 */
export function seccompFilter(denied: readonly DeniedCall[] = DENIED_CALLS): Uint8Array {
  const program: Instruction[] = [
    [LOAD_WORD, 0, 0, OFFSET_ARCHITECTURE],
    [JUMP_EQUAL, 1, 0, X86_64],
    [RETURN, 0, 0, KILL_PROCESS],
    [LOAD_WORD, 0, 0, OFFSET_NUMBER],
    [JUMP_GREATER_OR_EQUAL, 0, 1, X32_BIT],
    answer(ENOSYS),
    [JUMP_GREATER, 0, 1, NEWEST_KNOWN_CALL],
    answer(ENOSYS)
  ]
  for (const [name, denials] of Map.groupBy(denied, denial => denial.name)) {
    const number = NUMBERS[name]
    if (number === undefined) throw new RangeError(`no number is known for the call ${name}`)
    const block = verdict(denials)
    if (block.length > 255) throw new RangeError(`the rules of ${name} are longer than one jump`)
    program.push([JUMP_EQUAL, 0, block.length, number], ...block)
  }
  program.push([RETURN, 0, 0, ALLOW])
  if (program.length > LONGEST_PROGRAM) throw new RangeError('the filter is longer than the kernel takes')

  const bytes = new Uint8Array(program.length * 8)
  const view = new DataView(bytes.buffer)
  program.forEach(([code, ifTrue, ifFalse, value], index) => {
    view.setUint16(index * 8, code, true)
    view.setUint8(index * 8 + 2, ifTrue)
    view.setUint8(index * 8 + 3, ifFalse)
    view.setUint32(index * 8 + 4, value, true)
  })
  return bytes
}
