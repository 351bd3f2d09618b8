import type { Program } from './program.js'

/** Random numbers that nobody has seeded, or only some of them. */
export const RANDOM: readonly Program[] = [
  {
    name: 'random and uuid4',
    source: 'import random, uuid\nprint(random.random(), random.sample(range(99), 5), uuid.uuid4())'
  },
  {
    name: 'random.Random()',
    source: 'import random\na, b = random.Random(), random.Random()\nprint(a.random(), b.random())'
  },
  { name: 'os.urandom', source: 'import os\nprint(os.urandom(16).hex(), os.urandom(0), len(os.urandom(100_000)))' },
  {
    name: 'legacy numpy',
    source: 'import numpy as np\nprint(np.random.rand(3), np.random.RandomState().randint(99, size=4))'
  },
  {
    name: 'unseeded default_rng',
    source: 'import numpy as np\nprint(np.random.default_rng().random(3), np.random.default_rng().integers(9))'
  },
  {
    name: 'bit generators and spawned seeds',
    source: `
import numpy as np
from numpy.random import MT19937, PCG64DXSM, Generator, SeedSequence
print(Generator(MT19937()).random(), Generator(PCG64DXSM()).random(), [s.generate_state(2) for s in SeedSequence().spawn(2)])`
  },
  {
    name: 'numbers in every cell',
    source: [
      'import random, numpy as np\nrandom.random()',
      'print(random.random(), np.random.rand())',
      'np.random.shuffle(x := np.arange(9)); print(x, np.random.default_rng().random())'
    ]
  },
  {
    name: 'a seed of the own, over cells',
    source: [
      'import random, numpy as np\nrandom.seed(1); np.random.seed(1)',
      'print(random.random(), np.random.rand())',
      'print(random.random() == [random.seed(1), random.random(), random.random()][2], np.random.rand())'
    ]
  },
  {
    name: 'Monte Carlo',
    source: 'import numpy as np\nx = np.random.rand(2, 200_000)\nprint(4 * ((x ** 2).sum(0) < 1).mean())'
  },
  {
    name: 'bootstrap in pandas',
    source: `
import numpy as np, pandas as pd
s = pd.Series(np.random.standard_normal(500))
print([s.sample(frac=1, replace=True).mean() for _ in range(5)])`
  },
  {
    name: 'random walk drawn with random.gauss',
    source: 'import random, itertools\nprint(list(itertools.accumulate(random.gauss(0, 1) for _ in range(8))))'
  },
  {
    name: 'scipy distributions',
    needs: ['scipy'],
    source:
      'from scipy import stats\nprint(stats.norm.rvs(size=3), stats.gamma(2.5).rvs(2), stats.bootstrap(([1., 2, 5, 9],), sum, n_resamples=50).confidence_interval)'
  },
  {
    name: 'train_test_split and cross-validation',
    needs: ['sklearn'],
    source: `
from sklearn.datasets import load_iris
from sklearn.model_selection import KFold, cross_val_score, train_test_split
from sklearn.tree import DecisionTreeClassifier
X, y = load_iris(return_X_y=True)
print(train_test_split(y, test_size=0.1)[1], cross_val_score(DecisionTreeClassifier(), X, y, cv=KFold(4, shuffle=True)))`
  },
  {
    name: 'names of temporary files',
    source:
      'import tempfile, os\nprint(os.path.basename(tempfile.mkdtemp()), os.path.basename(tempfile.NamedTemporaryFile().name))'
  },
  {
    name: 'a forked pool with random numbers',
    source: `
import multiprocessing as mp, random, os
def draw(_): return random.random(), os.urandom(2).hex()
if __name__ == "__main__":
    out = []
    for _ in range(3):
        with mp.get_context("fork").Pool(1) as pool: out += pool.map(draw, range(2))
    print(out, len(set(out)))`
  }
]
