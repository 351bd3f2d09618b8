import type { Program } from './program.js'

/** Programs of which no pin makes two runs agree; `pekka run --runs 2` must say why. */
export const VARYING: readonly Program[] = [
  {
    name: 'secrets',
    source: 'import secrets\nprint(secrets.token_hex(8), secrets.randbelow(10**9))',
    varies: 'unseeded'
  },
  { name: 'SystemRandom', source: 'import random\nprint(random.SystemRandom().random())', varies: 'unseeded' },
  { name: 'native entropy', source: 'import os\nprint(os.getrandom(8).hex())', varies: 'unseeded' },
  { name: 'the time', source: 'import time\nprint("now", time.time())', varies: 'clock' },
  { name: 'a date', source: ['from datetime import datetime\nprint(datetime.now())'], varies: 'clock' },
  {
    name: 'timing',
    source: [
      'import time\nt = time.perf_counter(); sum(range(300_000))\nprint(f"took {time.perf_counter() - t:.9f} s")'
    ],
    varies: 'clock'
  },
  {
    name: 'id of an object',
    source: 'x = [object() for _ in range(50)]\nprint(id(x) % 10**9, sum(map(id, x)))',
    varies: 'address'
  },
  {
    name: 'a set of objects',
    // By their addresses they would differ most times alone: pages lie anywhere, what is in them often doesn't.
    source:
      'import os\nclass P:\n    def __init__(s, n): s.n = n; s.h = int.from_bytes(os.getrandom(4), "big")\n    def __repr__(s): return s.n\n    def __hash__(s): return s.h\nprint({P(f"p{k}") for k in range(40)})',
    varies: 'set-order'
  },
  {
    name: 'threads that print as they end',
    source:
      'import threading, time, os\nfrom concurrent.futures import ThreadPoolExecutor, as_completed\ndef work(k): time.sleep(int.from_bytes(os.getrandom(1), "big") / 2000); return f"job{k}"\nwith ThreadPoolExecutor(12) as pool: print([f.result() for f in as_completed([pool.submit(work, k) for k in range(12)])])',
    varies: 'threads'
  },
  {
    name: 'what follows from another cell',
    source: ['import time\nx = time.time_ns(); print(x)', 'import math; print(math.sqrt(x % 1000 + x / 1e9))'],
    varies: 'clock'
  }
]
