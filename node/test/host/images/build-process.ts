/** A process of its own that builds an image, for the test that kills it: `uv home definitions runner name`. */
import { createImageStore } from '@pekka/node/host/images'

const [uv = '', home = '', definitions = '', runner = '', name = ''] = process.argv.slice(2)
const log = { info: () => undefined, warn: () => undefined }
const store = createImageStore({ uv: async () => uv, log }, { home, definitions, runner })
await store.build(name, { onProgress: ({ step }) => console.log(step) })
