import assert from 'node:assert/strict'
import { analyse, lacking, localModules, neededCells } from '@pekka/node/scan'

/** Cells, and the files that they read. */
const READS: [what: string, source: string, paths: string[]][] = [
  ['a name', 'DATA = "stars.csv"\ndf = pd.read_csv(DATA)', ['stars.csv']],
  ['a name of a name', 'a = "stars.csv"\nb = a\nopen(b)', ['stars.csv']],
  ['a sum and an f-string', 'D = "data"\nopen(D + "/a.csv")\nopen(f"{D}/b.csv")', ['data/a.csv', 'data/b.csv']],
  ['a global name in a function', 'DATA = "a.csv"\ndef load():\n  return pd.read_csv(DATA)', ['a.csv']],
  [
    'joined parts',
    'open(os.path.join("data", "x.csv"))\nopen(path.join("data/", "y.csv"))',
    ['data/x.csv', 'data/y.csv']
  ],
  ['joined names', 'D = "data"\nf = os.path.join(D, "x.csv")\nnp.loadtxt(f)', ['data/x.csv']],
  [
    'a path that has a name',
    'root = Path("data")\np = root / "x.txt"\np.read_text()\nopen(root / "y.csv")',
    ['data/x.txt', 'data/y.csv']
  ],
  [
    'a path’s methods',
    'Path("a.txt").read_text()\nPath("d", "b.bin").read_bytes()\nwith Path("c.txt").open() as f: pass',
    ['a.txt', 'd/b.bin', 'c.txt']
  ],
  ['sequences', 'list(SeqIO.parse("x.fa", "fasta"))\nSeqIO.read("y.gb", "genbank")', ['x.fa', 'y.gb']],
  ['molecules', 'ase.io.read("a.xyz")\nmda.Universe("b.psf", "c.dcd")', ['a.xyz', 'b.psf', 'c.dcd']],
  ['reads', 'pysam.AlignmentFile("a.bam", "rb")\npysam.VariantFile("b.vcf")', ['a.bam', 'b.vcf']],
  [
    'what is read beside a file that is written',
    'pysam.AlignmentFile("out.bam", "wb", reference_filename="ref.fa")\nds.load_column("in.h5", "x")\nDataset("in.nc", "r")',
    ['ref.fa', 'in.h5', 'in.nc']
  ],
  [
    'two files',
    'mda.Universe("b.psf", "c.dcd", mode="r")\nmda.Universe("d.psf", "e.dcd")',
    ['b.psf', 'c.dcd', 'd.psf', 'e.dcd']
  ],
  ['sound', 'rate, x = wavfile.read("a.wav")\nx, r = sf.read("b.flac")', ['a.wav', 'b.flac']],
  ['microwaves and scenes', 'rf.Network("a.s2p")\nmi.load_file("b.xml")', ['a.s2p', 'b.xml']],
  ['single cells', 'sc.read("a.h5ad")\nsc.read_loom("b.loom")\nsc.read_mtx("c.mtx")', ['a.h5ad', 'b.loom', 'c.mtx']],
  ['a structure', 'PDBParser().get_structure("x", "1abc.pdb")', ['1abc.pdb']],
  ['a shell’s', '!cat x.csv\n!head -n 5 "y.tsv" | grep a\nrows = !wc -l z.txt', ['x.csv', 'y.tsv', 'z.txt']],
  ['a shell’s cell', '%%bash\nsort a.txt > b.txt\necho c.txt', ['a.txt']],
  ['a script by the shell', '!python make.py --out x', ['make.py']],
  ['a script’s options', '!python make.py -c my.yaml\n!python -m json.tool b.json', ['make.py', 'my.yaml', 'b.json']]
]

/** Cells that read no file of the user's computer. */
const NONE: [what: string, source: string][] = [
  ['a name that is set to something else', 'f = "a.csv"\nf = choose()\nopen(f)'],
  ['a parameter', 'f = "a.csv"\ndef load(f):\n  return open(f)'],
  ['a loop’s name', 'f = "a.csv"\nfor f in files:\n  open(f)'],
  ['an address by name', 'u = "https://example.org/a.csv"\npd.read_csv(u)'],
  ['a file that is written', 'OUT = "a.csv"\ndf.to_csv(OUT)\nprint(OUT)'],
  ['a file that was written', 'OUT = Path("a.txt")\nOUT.write_text("x")\nOUT.read_text()'],
  ['a file opened to write, by name', 'OUT = "a.txt"\nopen(OUT, "w").write("x")\nopen(OUT).read()'],
  ['joined with something computed', 'open(os.path.join(folder, "a.csv"))'],
  ['a machine’s own', 'P = "/proc"\nopen(os.path.join(P, "cpuinfo"))'],
  [
    'what no file has for a name',
    'nlp.parse("a sentence")\nloader.load_model_by("name")\nsc.read("data")\nSeqIO.parse(handle, "fasta")'
  ],
  ['texts that are parsed', 'parse("{a}.csv")\nreader.read(4)\njson.loads("x.json")\nds.load_dataset("imdb")'],
  ['a division', 'ratio = "a" / x\nopen(ratio)'],
  [
    'a shell’s patterns and variables',
    '!cat *.csv $HOME/a.csv {name}.csv\n!ls a.csv\n!rm b.csv\n!echo c.csv\n!pip install d.whl'
  ],
  ['what a shell writes', '!cat > a.txt\n!head -1 <<EOF'],
  [
    'a file that a reader’s class writes',
    'netCDF4.Dataset("out.nc", "w")\nnetCDF4.Dataset("b.nc", mode="a")\npysam.AlignmentFile("out.bam", "wb")\nsf.SoundFile("out.wav", "w")'
  ],
  [
    'a module or code for Python',
    '!python -m http.server\n!python3 -u -m my.tool\n!python -m pip install ruamel.yaml\n!python -c import a.b x.y\n!bash -c a.sh'
  ],
  ['another shell’s', '%%html\ncat a.csv']
]

describe('scan: files that cells read', () => {
  const paths = (source: string): string[] => analyse(source).paths.map(({ path }) => path)
  for (const [what, source, expected] of READS) it(what, () => assert.deepEqual(paths(source), expected))
  for (const [what, source] of NONE) it(`none: ${what}`, () => assert.deepEqual(paths(source), []))

  it('are no lack where a reader may mean something else, and where the cell writes them', () => {
    for (const source of [
      'parser.parse("example.com")',
      'version.parse("1.0.post1")\nNetwork("karate.club")',
      '!cat x.csv',
      'O = "a.csv"\ndf.to_csv(O)\npd.read_csv(O)'
    ])
      assert.deepEqual(lacking(paths(source), [analyse(source)]), [], source)
    assert.deepEqual(lacking(['a.csv'], [analyse('D = "a.csv"\npd.read_csv(D)')]), ['a.csv'])
  })
})

describe('scan: %run', () => {
  it('takes the script along, and what it imports in turn', async () => {
    const files: Record<string, string> = {
      'helper.py': 'import lab\nx = 1',
      'lab.py': '',
      'other.py': '',
      'sub/a.py': '',
      '../up.py': '',
      '/abs.py': '',
      'sub/../up.py': ''
    }
    const folder = { text: async (path: string) => files[path] ?? null, list: async () => [] }
    const found = await localModules(
      [
        '%run -i ./helper.py 3\n%run sub/a\n%run missing.py\n%run ../up.py\n%run /abs.py\n%run sub/../up.py\n%run {name}.py'
      ],
      folder
    )
    assert.deepEqual(
      found.files.map(({ path }) => path),
      ['helper.py', 'lab.py', 'sub/a.py']
    )
    assert.deepEqual(found.modules, ['lab'])
  })

  it('may define any name, like a star import', () => {
    const cells = ['%run setup.py', 'print(model)', 'x'].map((source, index) => ({ id: String(index + 1), source }))
    assert.deepEqual(neededCells(cells, ['2']), {
      missing: [{ name: 'model', line: 1, by: '2', cell: '1' }],
      builtins: [{ name: 'print', line: 1 }],
      run: ['1', '2']
    })
    assert.equal(analyse('%run setup.py\nprint(model)').star, true)
  })

  it('imports a module by -m, and opens a notebook', () => {
    assert.deepEqual(analyse('%run nb.ipynb').paths, [{ path: 'nb.ipynb', line: 1 }])
  })
})
