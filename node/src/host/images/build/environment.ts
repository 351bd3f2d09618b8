import { ENVIRONMENT_PATH, RUNNER_PATH, SANDBOX_USER } from '../constants.js'
import type { ImageDefinition } from '../definition/definition.js'

/**
 * The environment of a sandbox's first process. What the definition pins, where things are, and what the runner imports before a task
 * comes. Nothing of colour, terminal or time zone: those are the user's (DESIGN §6).
 */
export const sandboxEnvironment = ({
  environment,
  preload
}: Pick<ImageDefinition, 'environment' | 'preload'>): Record<string, string> => ({
  ...environment,
  // Last the runner's own `pip`, which says why there is none.
  PATH: `/${ENVIRONMENT_PATH}/bin:/usr/bin:/bin:/${RUNNER_PATH}/bin`,
  HOME: SANDBOX_USER.home,
  USER: SANDBOX_USER.name,
  LANG: 'C.UTF-8',
  PEKKA_PRELOAD: preload.join(',')
})
