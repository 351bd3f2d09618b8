/** Why two honest runs of one program may differ, each in one sentence for the person who wrote it. */
export const CAUSES = {
  address: 'It shows the address of an object in memory, which is another in each run: print what the object holds.',
  names: 'It shows names that are made up anew in each run (UUIDs, ids of elements); nothing else differs.',
  progress: 'Only progress, colours or blanks differ; the text at the end is the same.',
  clock: 'It shows the time or how long something took.',
  unseeded: 'It draws random numbers that no seed reaches: give the generator a seed of your own.',
  'set-order': 'The same items come in another order, as those of a set do: sort them.',
  'file-order': 'Files are listed in the order of the disk: sort them.',
  threads:
    'Threads or processes finish in another order each time: collect results by their place, not by their arrival.',
  machine: 'It shows something of the machine or the process itself (processors, memory, process id).',
  'image-metadata': 'The picture is the same to the pixel; only its date or other remarks in the file differ.',
  'cpu-path': 'The last digits depend on the kind of processor: round before printing or comparing.',
  unstable:
    'The calculation magnifies the last digits, which depend on the kind of processor: a tolerance, more iterations or a stable sort helps.',
  stderr: 'Only warnings or other text on stderr differ; they don’t count.',
  ended: 'One run ended otherwise than the other.',
  'earlier-cell': 'It follows from a cell before that differs.',
  unknown: 'Why is not clear from the output.'
} as const
export type Cause = keyof typeof CAUSES

/** What a cell's source says about where it gets its values from. A pattern is a hint, never a proof. */
const HINTS: readonly [Cause, RegExp][] = [
  [
    'clock',
    /\btime\.(?:time|perf_counter|monotonic|process_time|thread_time|ctime|localtime|gmtime|strftime|asctime)|\bperf_counter|\bdatetime\b|\.(?:now|today|utcnow)\(|%%?time|\btimeit\b|(?:fit|score)_time|uuid1\(|\bst_[mca]time|getmtime/
  ],
  ['unseeded', /\bsecrets\b|SystemRandom|getrandom|\/dev\/u?random|RAND_bytes/],
  [
    'threads',
    /\bthreading\b|\bThread\(|ThreadPool|concurrent\.futures|as_completed|multiprocessing|\bPool\(|imap_unordered|joblib|Parallel\(|n_jobs|\bprange\b|parallel=True|\bos\.fork\(/
  ],
  ['file-order', /\blistdir\(|\bscandir\(|\biterdir\(|\bglob\b|\bos\.walk\(|\brglob\(/],
  ['address', /\bid\(|\baddressof\b|\bdata_ptr\b|__array_interface__|ctypes\.data\b|\bobject\(\)/],
  [
    'machine',
    /cpu_count|\buname\b|gethostname|\bplatform\b|\/proc\/|\bpsutil\b|getpid|getppid|sched_getaffinity|getrusage|show_runtime|show_config|threadpool_info|__cpu_features__|lscpu|\bRLIMIT|mktemp|mkdtemp/
  ],
  ['set-order', /\bset\(|frozenset|\{[^{}:]*,[^{}:]*\}|\.intersection\(|\.union\(/]
]

/** Seeded by PEKKA, unless the task asked for real entropy. */
const RANDOM =
  /\brandom\b|\brandn?\b|\brandint|uuid4|urandom|default_rng|shuffle|\bsample\(|\btorch\b|random_state|\bRandomForest|train_test_split|KMeans|TSNE/

const NUMERIC =
  /\bnumpy\b|\bnp\.|\bscipy\b|\bsklearn\b|\btorch\b|\bpandas\b|\bpd\.|\blinalg\b|statsmodels|\bnumba\b|\bjax\b|\bmath\b/

/** The causes that a source hints at, the likeliest first. `all` is the source of this cell and those before. */
export function hintsOf(source: string, all: string, entropy: boolean): Cause[] {
  const hints = HINTS.filter(([, pattern]) => pattern.test(source)).map(([cause]) => cause)
  if (entropy && RANDOM.test(source)) hints.unshift('unseeded')
  if (NUMERIC.test(all)) hints.push('unstable')
  return hints
}
