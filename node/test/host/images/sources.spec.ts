import assert from 'node:assert/strict'
import { compareWithLock, parsePlanned } from '../../../src/host/images/build/debian.js'
import {
  debianSources,
  formatDeb822,
  parseDeb822,
  parseOneLine
} from '../../../src/host/images/build/debian-sources.js'
import { consoleScripts } from '../../../src/host/images/build/python.js'

const BOOKWORM = `
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://other.example/node
Suites: nodistro
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
`

describe('Debian sources', () => {
  it("takes the host's mirror of the suite and nothing of third parties, backports or what is switched off", () => {
    const [source, ...rest] = debianSources(parseDeb822(BOOKWORM), 'bookworm')
    assert.deepEqual(rest, [])
    assert.deepEqual(source?.uris, ['http://mirror.example/debian'])
    assert.deepEqual(source?.suites, ['bookworm', 'bookworm-updates'])
    assert.deepEqual(source?.components, ['main'])
  })

  it('keeps a key that stands in the source itself', () => {
    const text = formatDeb822(debianSources(parseDeb822(BOOKWORM), 'bookworm'))
    assert.match(text, /signed-by: ?\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n \.\n -----END/)
    assert.deepEqual(parseDeb822(text), debianSources(parseDeb822(BOOKWORM), 'bookworm'))
  })

  it('reads the one-line form with options', () => {
    const list =
      'deb [arch=amd64 signed-by=/k.gpg] https://mirror.example/debian bookworm main # note\n#deb http://x y main\ndeb-src http://x y main\n'
    assert.deepEqual(parseOneLine(list), [
      {
        uris: ['https://mirror.example/debian'],
        suites: ['bookworm'],
        components: ['main'],
        options: { 'signed-by': '/k.gpg' }
      }
    ])
  })

  it('turns the mirrors of another Debian release to the suite', () => {
    const trixie = parseOneLine(
      'deb http://m.example/debian trixie main\ndeb http://m.example/debian-security trixie-security main\n'
    )
    assert.deepEqual(
      debianSources(trixie, 'bookworm').map(({ uris, suites }) => [uris, suites]),
      [
        [['http://m.example/debian'], ['bookworm', 'bookworm-updates']],
        [['http://m.example/debian-security'], ['bookworm-security']]
      ]
    )
  })

  it('finds none on a system that is not Debian, unless told a mirror', () => {
    const ubuntu = parseOneLine('deb http://archive.example/ubuntu noble main universe\n')
    assert.deepEqual(debianSources(ubuntu, 'bookworm'), [])
    assert.deepEqual(debianSources(ubuntu, 'bookworm', 'http://m.example/debian')[0]?.uris, ['http://m.example/debian'])
  })

  it("reads apt's plan and tells what differs from the lock", () => {
    assert.deepEqual(parsePlanned('Inst diffutils (1:3.8-4 Debian:12.11/oldstable [amd64])'), {
      name: 'diffutils',
      version: '1:3.8-4'
    })
    assert.equal(parsePlanned('Conf diffutils (1:3.8-4 Debian:12.11/oldstable [amd64])'), undefined)
    const locked = [
      { name: 'a', version: '1' },
      { name: 'b', version: '1' },
      { name: 'c', version: '1' }
    ]
    const taken = [
      { name: 'a', version: '1' },
      { name: 'b', version: '2' },
      { name: 'd', version: '1' }
    ]
    assert.deepEqual(compareWithLock(locked, taken), [
      { name: 'b', locked: '1', taken: '2' },
      { name: 'c', locked: '1', taken: null },
      { name: 'd', locked: null, taken: '1' }
    ])
  })
})

describe('commands of a package', () => {
  it('start the interpreter of the environment, whatever made the environment', () => {
    const text =
      '[console_scripts]\nipython = IPython:start_ipython\nodd-name=a.b:Class.method [extra]\n\n[other]\nx = y:z\n'
    assert.deepEqual(consoleScripts(text), [
      [
        'ipython',
        '#!/opt/pekka/env/bin/python\nimport sys\nfrom IPython import start_ipython\nsys.exit(start_ipython())\n'
      ],
      ['odd-name', '#!/opt/pekka/env/bin/python\nimport sys\nfrom a.b import Class\nsys.exit(Class.method())\n']
    ])
  })
})
