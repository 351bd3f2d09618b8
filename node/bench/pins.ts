/**
 * What the numeric pins cost: one suite in two sandboxes of the base image, with the pins and on all that the processor can, one CPU each:
 *
 *   KIND.pinned_ms, KIND.native_ms   best of six, for matmul, svd, sort, exp, fit and others
 *   KIND.ratio                       pinned over native
 *
 *   npm run bench -- pins [--json]
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { BubblewrapRuntime, IMAGE_PYTHON, type SandboxLimits } from '@pekka/node/host/sandbox'

/** Each kind twice as long as it takes to be measured well, and all of them within a minute on one core. */
const SUITE = `
import json, math, time
import numpy as np

rng = np.random.default_rng(1)
a = rng.standard_normal((1200, 1200))
b = a.astype(np.float32)
x = rng.standard_normal(4_000_000)
positive = np.abs(x) + 0.1
integers = rng.integers(0, 10**9, 4_000_000)
tall = rng.standard_normal((20_000, 40))
labels = (tall[:, 0] + 0.3 * rng.standard_normal(20_000) > 0).astype(int)

def fit():
    from sklearn.linear_model import LogisticRegression
    LogisticRegression(max_iter=200).fit(tall, labels)

def forest():
    from sklearn.ensemble import RandomForestClassifier
    RandomForestClassifier(20, random_state=0).fit(tall[:4000], labels[:4000])

def kmeans():
    from sklearn.cluster import KMeans
    KMeans(8, n_init=2, random_state=0).fit(tall)

def table():
    import pandas as pd
    pd.DataFrame({"k": integers % 1000, "v": x}).groupby("k").v.agg(["mean", "std"])

KINDS = {
    "matmul": lambda: a @ a,
    "matmul32": lambda: b @ b,
    "svd": lambda: np.linalg.svd(a[:500, :500]),
    "solve": lambda: np.linalg.solve(a, a[0]),
    "eigh": lambda: np.linalg.eigh(a[:500, :500] + a[:500, :500].T),
    "sort": lambda: np.sort(x),
    "argsort": lambda: np.argsort(integers),
    "exp": lambda: np.exp(x),
    "sin": lambda: np.sin(x),
    "log": lambda: np.log(positive),
    "power": lambda: positive**1.7,
    "sum": lambda: [x.sum() for _ in range(10)],
    "fft": lambda: np.fft.rfft(x[: 1 << 21]),
    "math": lambda: [math.exp(k / 1e6) + math.sin(k) for k in range(300_000)],
    "groupby": table,
    "fit_logistic": fit,
    "fit_forest": forest,
    "fit_kmeans": kmeans,
}
out = {}
for name, work in KINDS.items():
    times = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    out[name] = min(times) * 1000
print(json.dumps(out))
`

const LIMITS: SandboxLimits = {
  memoryBytes: 4 * 2 ** 30,
  cpus: 1,
  pids: 512,
  diskBytes: 256 << 20,
  files: 1024,
  fileBytes: 64 << 20
}

/** As sandbox-images/runner/pekka_runner/numeric.py takes them away for `--no-pins`. */
const CHOOSING = [
  'OPENBLAS_CORETYPE',
  'NPY_DISABLE_CPU_FEATURES',
  'GLIBC_TUNABLES',
  'MKL_CBWR',
  'NUMBA_CPU_NAME',
  'NUMBA_CPU_FEATURES'
]

async function measure(root: string, environment: Record<string, string>): Promise<Record<string, number>> {
  const runtime = new BubblewrapRuntime({ owner: `bench pins ${process.pid}` })
  const report = await runtime.probe()
  if (!report.usable) throw new Error(`${report.reason} ${report.remedy}`)
  const sandbox = await runtime.create({
    image: { root, digest: 'bench', environment },
    argv: [IMAGE_PYTHON, '-c', SUITE],
    limits: LIMITS
  })
  try {
    const [output, words, exit] = await Promise.all([text(sandbox.stdout), text(sandbox.stderr), sandbox.exited])
    if (exit.code !== 0) throw new Error(`the suite ended with ${exit.code}: ${words.slice(-500)}`)
    return JSON.parse(output) as Record<string, number> // our own program's
  } finally {
    await sandbox.remove()
    await runtime.close()
  }
}

const root = process.env.PEKKA_TEST_IMAGE_ROOT
if (root === undefined) throw new Error('PEKKA_TEST_IMAGE_ROOT is not set: run it by "npm run bench -- pins"')
const record = JSON.parse(await readFile(join(root, '../image.json'), 'utf8')) as {
  environment: Record<string, string>
} // our own file
const native = Object.fromEntries(Object.entries(record.environment).filter(([name]) => !CHOOSING.includes(name)))
/** The least of both rounds: the rounds alternate, so that what else the machine does meets both. */
const least = (a: Record<string, number>, b: Record<string, number>): Record<string, number> =>
  Object.fromEntries(Object.entries(a).map(([kind, ms]) => [kind, Math.min(ms, b[kind] ?? Infinity)]))
const rounds = []
for (const environment of [record.environment, native, record.environment, native])
  rounds.push(await measure(root, environment))
const [p1 = {}, n1 = {}, p2 = {}, n2 = {}] = rounds
const [pinned, free] = [least(p1, p2), least(n1, n2)]
const figures: Record<string, number> = {}
for (const [kind, ms] of Object.entries(pinned)) {
  const other = free[kind] ?? NaN
  Object.assign(figures, {
    [`${kind}.pinned_ms`]: Number(ms.toFixed(1)),
    [`${kind}.native_ms`]: Number(other.toFixed(1)),
    [`${kind}.ratio`]: Number((ms / other).toFixed(2))
  })
  if (!process.argv.includes('--json'))
    console.log(
      `${kind.padEnd(14)} ${ms.toFixed(1).padStart(9)} ms pinned ${other.toFixed(1).padStart(9)} ms native   × ${(ms / other).toFixed(2)}`
    )
}
console.log(JSON.stringify(figures))
