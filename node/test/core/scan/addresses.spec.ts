import assert from 'node:assert/strict'
import { analyse, readAddresses } from '@pekka/node/scan'

const A = 'https://data.example.org/a.csv'
const B = 'https://data.example.org/b.csv'

/** Source, and the addresses that it reads. */
const CASES: [what: string, source: string, urls: string[]][] = [
  ['pandas', `df = pd.read_csv("${A}")`, [A]],
  ['a keyword', `df = pd.read_csv(filepath_or_buffer='${A}', sep=';')`, [A]],
  ['numpy', `x = np.loadtxt("${A}", delimiter=",")\ny = np.genfromtxt('${B}')`, [A, B]],
  ['urllib', `urlopen("${A}").read()\nurllib.request.urlopen('${B}', timeout=5)`, [A, B]],
  ['a request made first', `urllib.request.urlopen(urllib.request.Request("${A}", headers={}))`, [A]],
  ['what is saved', `urllib.request.urlretrieve("${A}", "a.csv")`, [A]],
  ['requests', `requests.get("${A}", timeout=3).json()`, [A]],
  ['a session', `s = requests.Session()\nsession.get("${A}")\nrequests.Session().head("${B}")`, [A, B]],
  ['pictures', `skimage.io.imread("${A}")`, [A]],
  ['the same twice', `pd.read_csv("${A}")\npd.read_csv("${A}")`, [A]],
  ['a name', `url = "${A}"\npd.read_csv(url)`, [A]],
  ['a name that is set anew', `url = "${A}"\npd.read_csv(url)\nurl = "${B}"\npd.read_csv(url)`, [A, B]],
  ['a name that is not known any more', `url = "${A}"\nurl = choose(url)\npd.read_csv(url)`, []],
  ['a name with a type', `url: str = "${A}"\npd.read_csv(url)`, [A]],
  ['a sum', `BASE = "https://data.example.org/"\npd.read_csv(BASE + "a.csv")`, [A]],
  ['an f-string', `BASE = "https://data.example.org"\npd.read_csv(f"{BASE}/a.csv")`, [A]],
  ['an f-string that computes', `BASE = "https://data.example.org"\npd.read_csv(f"{BASE}/{n}.csv")`, []],
  ['an f-string that formats', `BASE = "https://data.example.org"\npd.read_csv(f"{BASE!r}/a.csv")`, []],
  ['lines of text', `pd.read_csv("https://data.example.org/"\n            "a.csv")`, [A]],
  ['a function with its own name', `def load():\n  url = "${A}"\n  return pd.read_csv(url)`, [A]],
  ['a function with a global name', `def load():\n  return pd.read_csv(URL)\nURL = "${A}"`, [A]],
  ['a parameter of the same name', `url = "${A}"\ndef load(url):\n  return pd.read_csv(url)`, []],
  ['magics around it', `%time df = pd.read_csv("${A}")`, [A]],
  ['unencrypted', 'pd.read_csv("http://data.example.org/a.csv")', ['http://data.example.org/a.csv']],
  ['a file', 'pd.read_csv("a.csv")\npd.read_csv("file:///a.csv")\npd.read_csv("s3://bucket/a.csv")', []],
  ['an address that is only shown', `print("${A}")\nx = "${A}"\nwebbrowser.open("${B}")`, []],
  ['a dictionary', `known.get("${A}")`, []],
  ['what is sent', `requests.post("${A}", json={})\nurlopen("${A}", data)\nrequests.get("${B}", params=q)`, []],
  ['an address that opens otherwise', `xr.open_dataset("${A}")\nplt.imread(open("${B}", "rb"))`, []],
  ['two targets', `a, url = x, "${A}"\npd.read_csv(url)`, []],
  ['no address at all', 'pd.read_csv("https://")', []]
]

describe('scan: addresses that are read', () => {
  for (const [what, source, urls] of CASES)
    it(what, () =>
      assert.deepEqual(
        analyse(source).addresses.map(({ url }) => url),
        urls
      )
    )

  it('names the line', () => {
    assert.deepEqual(analyse(`import pandas as pd\n\nx = pd.read_csv("${A}")`).addresses, [{ url: A, line: 3 }])
  })

  it('looks a name up in the cells above, and takes the last definition', () => {
    const cells = [
      { id: 'a', source: `URL = "${A}"\nOTHER = "${A}"` },
      { id: 'b', source: `URL = "${B}"\nOTHER = choose()` },
      { id: 'c', source: 'x = pd.read_csv(URL)\ny = pd.read_csv(OTHER)' },
      { id: 'd', source: `URL = "https://data.example.org/later.csv"` }
    ]
    assert.deepEqual(readAddresses(cells, ['c']), [{ url: B, cell: 'c', line: 1 }])
    assert.deepEqual(readAddresses(cells, ['a', 'b', 'd']), [])
  })

  it('names an address once, where it is read first', () => {
    const cells = ['a', 'b'].map(id => ({ id, source: `pd.read_csv("${A}")` }))
    assert.deepEqual(readAddresses(cells, ['a', 'b']), [{ url: A, cell: 'a', line: 1 }])
  })
})
