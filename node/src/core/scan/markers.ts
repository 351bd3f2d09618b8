import { IMAGE_PYTHON } from './syntax.js'
import { allows } from './versions.js'

/** Whether a requirement with this environment marker concerns a machine of the network (Linux, the images' Python). */
export function applies(marker: string): boolean {
  const facts: Record<string, string> = {
    sys_platform: 'linux',
    platform_system: 'Linux',
    os_name: 'posix',
    platform_machine: 'x86_64',
    implementation_name: 'cpython',
    platform_python_implementation: 'CPython'
  }
  return marker.split(/\bor\b/).some(alternative =>
    alternative.split(/\band\b/).every(clause => {
      const match = /^[\s(]*(\w+)\s*(===|==|!=|<=|>=|<|>|~=)\s*["']([^"']*)["'][\s)]*$/.exec(clause)
      if (match === null) return true
      const [, variable = '', operator = '', value = ''] = match
      if (variable === 'python_version' || variable === 'python_full_version')
        return allows(
          `${operator}${value}`,
          variable === 'python_version' ? IMAGE_PYTHON.join('.') : `${IMAGE_PYTHON.join('.')}.7`
        )
      const fact = facts[variable]
      if (fact === undefined) return variable !== 'extra'
      return operator === '!=' ? fact !== value : operator === '==' ? fact === value : true
    })
  )
}
