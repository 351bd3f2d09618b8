/** Writes docs/errors.md from the catalogue: `node --import=tsx --conditions=pekka-source scripts/docs/errors.ts`. */
import { writeFile } from 'node:fs/promises'
import { ERRORS, type ErrorEntry } from '@pekka/node/protocol'

export function errorsPage(): string {
  const rows = Object.entries<ErrorEntry>(ERRORS).map(
    ([code, { status, title, advice }]) => `| ${code} | ${status} | ${title} | ${advice} |`
  )
  return [
    '# Errors',
    '',
    'Every error has a stable code, says what happened and what to do. The code stands in HTTP problem documents (RFC 9457,',
    '`code`), in `--json`, and behind the sentence on the command line. Made from `node/src/core/protocol/errors.ts` by',
    '`npm run docs:errors`; a test fails while this page is behind.',
    '',
    '| code | HTTP | what happened | what to do |',
    '| --- | --- | --- | --- |',
    ...rows,
    ''
  ].join('\n')
}

export const ERRORS_PAGE = new URL('../../docs/errors.md', import.meta.url)

if (process.argv[1] === new URL(import.meta.url).pathname) await writeFile(ERRORS_PAGE, errorsPage())
