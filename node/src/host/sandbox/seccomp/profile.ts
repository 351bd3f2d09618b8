/** The deny list as a profile for Docker Engine (`SecurityOpt: seccomp=<JSON>`; libseccomp turns it into a filter). */
import { DENIED_CALLS, type ArgumentTest, type DeniedCall } from './policy.js'

interface ProfileArgument {
  index: number
  value: number
  valueTwo: number
  op: 'SCMP_CMP_MASKED_EQ' | 'SCMP_CMP_NE' | 'SCMP_CMP_GT'
}

interface ProfileRule {
  names: string[]
  action: 'SCMP_ACT_ERRNO'
  errnoRet: number
  args: ProfileArgument[]
}

export interface DockerSeccompProfile {
  defaultAction: 'SCMP_ACT_ALLOW'
  /** Only the native interface; libseccomp kills a process that calls through another one (32-bit, x32). */
  architectures: ['SCMP_ARCH_X86_64']
  syscalls: ProfileRule[]
}

const LOW_32_BITS = 0xffffffff

/**
 * libseccomp compares all 64 bits of an argument where the kernel looks at 32, so "equal" is always masked: else
 * `ioctl(fd, 0x100000000 | TIOCSTI)` would pass (CVE-2019-10063). Rules of one call are joined by "or".
 */
function argumentRules({ index, test, value }: ArgumentTest): ProfileArgument[] {
  switch (test) {
    case 'equal':
      return [{ index, value: LOW_32_BITS, valueTwo: value, op: 'SCMP_CMP_MASKED_EQ' }]
    case 'not-equal':
      return [{ index, value, valueTwo: 0, op: 'SCMP_CMP_NE' }]
    case 'greater':
      return [{ index, value, valueTwo: 0, op: 'SCMP_CMP_GT' }]
    case 'any-bit':
      return Array.from({ length: 32 }, (_, bit) => (1 << bit) >>> 0)
        .filter(bit => (bit & value) !== 0)
        .map(bit => ({ index, value: bit, valueTwo: bit, op: 'SCMP_CMP_MASKED_EQ' }))
  }
}

export function dockerSeccompProfile(denied: readonly DeniedCall[] = DENIED_CALLS): DockerSeccompProfile {
  return {
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: ['SCMP_ARCH_X86_64'],
    syscalls: denied.flatMap(({ name, errno, when }): ProfileRule[] => {
      const rule = (args: ProfileArgument[]): ProfileRule => ({
        names: [name],
        action: 'SCMP_ACT_ERRNO',
        errnoRet: errno,
        args
      })
      return when === undefined ? [rule([])] : argumentRules(when).map(argument => rule([argument]))
    })
  }
}
