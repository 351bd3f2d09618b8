/** A provider process for tests: settings file, image root. */
import { runProvider } from './test-machine.js'

const [settings = '', root = ''] = process.argv.slice(2)
await runProvider(settings, root)
