/** What the tests need of the machine beyond what `npm start` sets up: Docker, a browser, a Redis. */
import { spawnSync } from 'node:child_process'
import { find } from '../node/bin/setup/search.mjs'
import { StepError } from '../node/bin/setup/steps.mjs'
import { aptArguments, installCommand } from '../node/bin/setup/system.mjs'

/** @type {{ program: string, package: string, without: string }[]} what each is for, and what is left out without it */
const PROGRAMS = [
  { program: 'bwrap', package: 'bubblewrap', without: 'sandboxes by bubblewrap' },
  { program: 'dockerd', package: 'docker.io', without: 'sandboxes by Docker' },
  { program: 'chromium', package: 'chromium', without: 'everything in a browser' },
  { program: 'redis-server', package: 'redis-server', without: 'the queue on the distribution’s Redis' },
  { program: 'ip', package: 'iproute2', without: 'a provider on another machine' }
]

/**
 * The programs, installed where they may be. Under CI what is missing is installed, and a failure fails; else it is listed as left out.
 * @param {import('../node/bin/setup/steps.mjs').Steps} steps
 * @param {boolean} ci
 * @returns {Promise<{ env: NodeJS.ProcessEnv, leftOut: string[] }>}
 */
export async function prepareMachine(steps, ci) {
  let missing = PROGRAMS.filter(({ program }) => !find(program))
  if (ci && missing.length > 0) {
    const apt = find('apt-get')
    const names = missing.map(({ package: name }) => name)
    if (!apt || process.getuid?.() !== 0)
      throw new StepError({ step: 'Test programs', reason: `missing; install them: ${installCommand(names)}` })
    await steps.step('Test programs', async step => {
      // an installed service must not start: the tests bring up their own
      const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
      await step.run(apt, ['-o', 'DPkg::Lock::Timeout=300', 'update'], { env })
      await step.run(apt, aptArguments(names), { env })
      return names.join(', ')
    })
    missing = []
  }
  const chromium = find('chromium') ?? find('chromium-browser') ?? find('google-chrome')
  return {
    env: { ...(chromium && { PEKKA_TEST_CHROMIUM: chromium }) },
    leftOut: missing.map(({ package: name, without }) => `${without} (${name} isn't installed)`)
  }
}

/**
 * Where the built base image is, for tests that run in its tree.
 * @param {string} node @param {string} main @param {NodeJS.ProcessEnv} env
 */
export function imageRoot(node, main, env) {
  const asked = spawnSync(node, [main, 'image', 'list', '--json'], { env, encoding: 'utf8' })
  /** @type {{ built: { name: string, root: string, current: boolean }[] }} */
  const { built } = JSON.parse(asked.stdout)
  return built.find(({ name, current }) => name === 'base' && current)?.root
}
