import type { Program } from './program.js'

const S = ['scipy']
const L = ['sklearn']

/** Calculations whose last digits depend on the code path: pinned, they agree to the last bit. */
export const NUMERIC: readonly Program[] = [
  {
    name: 'matrix product and its trace',
    source: `
import numpy as np
a = np.random.default_rng(1).standard_normal((300, 300))
print((a @ a).trace().hex(), (a.astype("f4") @ a.astype("f4")).sum())`
  },
  {
    name: 'singular values',
    source: `
import numpy as np
u, s, v = np.linalg.svd(np.random.default_rng(2).standard_normal((120, 80)))
print(repr(s[:5]), u[0, 0].hex())`
  },
  {
    name: 'eigenvalues of a symmetric matrix',
    source: `
import numpy as np
a = np.random.default_rng(3).standard_normal((150, 150))
print(repr(np.linalg.eigvalsh(a + a.T)[:6]))`
  },
  {
    name: 'badly conditioned system',
    source: `
import numpy as np
n = 12
h = 1 / (np.arange(n)[:, None] + np.arange(n) + 1)
print(np.linalg.solve(h, np.ones(n)))`
  },
  {
    name: 'elementwise functions',
    source: `
import numpy as np
x = np.linspace(-30, 30, 100_001)
for f in (np.sin, np.cos, np.tan, np.exp, np.tanh, np.arctan, np.cbrt): print(f.__name__, f(x).sum().hex())`
  },
  {
    name: 'the C library',
    source: `
import math
total = 0.0
for k in range(1, 60_000): total += math.sin(k) * math.exp(-k / 9e3) + math.log(k) ** 1.3 / k
print(total.hex())`
  },
  {
    name: 'unstable sort with ties',
    source: `
import numpy as np
x = np.random.default_rng(4).integers(0, 50, 5000)
print(np.argsort(x)[:20], np.argpartition(x, 100)[:20])`
  },
  {
    name: 'Lorenz system',
    source: `
x, y, z = 1.0, 1.0, 1.0
for _ in range(40_000):
    dx, dy, dz = 10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z
    x, y, z = x + dx * 1e-3, y + dy * 1e-3, z + dz * 1e-3
print(x, y, z)`
  },
  {
    name: 'Lorenz system in numpy',
    source: `
import numpy as np
s = np.array([1.0, 1.0, 1.0])
A = lambda s: np.array([10 * (s[1] - s[0]), s[0] * (28 - s[2]) - s[1], s[0] * s[1] - 8 / 3 * s[2]])
for _ in range(15_000): s = s + 2e-3 * A(s)
print(s)`
  },
  {
    name: 'Fourier transform',
    source: `
import numpy as np
x = np.random.default_rng(5).standard_normal(4096)
print(abs(np.fft.rfft(x))[:8], np.fft.ifft(np.fft.fft(x)).real[0].hex())`
  },
  {
    name: 'least squares',
    source: `
import numpy as np
rng = np.random.default_rng(6)
X, noise = rng.standard_normal((500, 8)), rng.standard_normal(500)
b, *_ = np.linalg.lstsq(X, X @ np.arange(8.0) + noise, rcond=None)
print(b)`
  },
  {
    name: 'polynomial roots',
    source: 'import numpy as np\nprint(np.roots(np.poly(np.arange(1, 16))))'
  },
  {
    name: 'group statistics',
    source: `
import numpy as np, pandas as pd
rng = np.random.default_rng(7)
df = pd.DataFrame({"g": rng.choice(list("abcde"), 10_000), "v": rng.standard_normal(10_000)})
print(df.groupby("g").v.agg(["mean", "std", "skew"]))`
  },
  {
    name: 'rolling window and correlation',
    source: `
import numpy as np, pandas as pd
s = pd.Series(np.random.default_rng(8).standard_normal(3000)).cumsum()
print(s.rolling(50).std().dropna().tail(3).tolist(), s.autocorr(7), s.ewm(span=9).mean().iloc[-1])`
  },
  {
    name: 'sort_values with ties',
    source: `
import numpy as np, pandas as pd
df = pd.DataFrame({"a": np.random.default_rng(9).integers(0, 9, 2000), "b": range(2000)})
print(df.sort_values("a").b.head(20).tolist())`
  },
  {
    name: 'optimisation by BFGS',
    needs: S,
    source: `
import numpy as np
from scipy.optimize import minimize, rosen
r = minimize(rosen, np.full(6, -1.2), method="BFGS")
print(r.x, r.nit, r.fun)`
  },
  {
    name: 'differential equation',
    needs: S,
    source: `
from scipy.integrate import solve_ivp
r = solve_ivp(lambda t, y: [y[1], (1 - y[0] ** 2) * y[1] * 3 - y[0]], (0, 30), [2, 0], rtol=1e-9)
print(r.t.size, r.y[:, -1])`
  },
  {
    name: 'special functions',
    needs: S,
    source: `
import numpy as np
from scipy import special
x = np.linspace(0.1, 20, 2001)
print(special.jv(1.5, x).sum().hex(), special.gammaln(x).sum().hex(), special.erf(x)[3].hex())`
  },
  {
    name: 'interpolation and quadrature',
    needs: S,
    source: `
import numpy as np
from scipy import integrate, interpolate
x = np.linspace(0, 3, 40)
f = interpolate.CubicSpline(x, np.exp(-x) * np.sin(9 * x))
print(f(1.2345), integrate.quad(f, 0, 3))`
  },
  {
    name: 'sparse eigenvalues',
    needs: S,
    source: `
import numpy as np
from scipy.sparse import diags
from scipy.sparse.linalg import eigsh
m = diags([np.arange(200.0), np.ones(199)], [0, 1])
print(eigsh(m + m.T, k=4, v0=np.ones(200))[0])`
  },
  {
    name: 'logistic regression',
    needs: L,
    source: `
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
X, y = load_iris(return_X_y=True)
m = LogisticRegression(max_iter=200).fit(X, y)
print(m.coef_, m.n_iter_)`
  },
  {
    name: 'k-means without a seed',
    needs: L,
    source: `
import numpy as np
from sklearn.cluster import KMeans
X = np.random.rand(600, 5)
m = KMeans(6, n_init=3).fit(X)
print(m.inertia_, m.cluster_centers_[0], m.labels_[:20])`
  },
  {
    name: 'random forest without a seed',
    needs: L,
    source: `
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
X, y = load_wine(return_X_y=True)
m = RandomForestClassifier(40).fit(X, y)
print(m.feature_importances_, m.predict_proba(X[:3]))`
  },
  {
    name: 'principal components and t-SNE',
    needs: L,
    source: `
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
X = load_iris().data[:60]
print(PCA(3).fit(X).components_)
print(TSNE(perplexity=9, max_iter=260).fit_transform(X)[:3])`
  },
  {
    name: 'ordinary least squares, summary',
    needs: ['statsmodels'],
    varies: 'clock',
    source: `
import numpy as np, statsmodels.api as sm
import time; time.sleep(1)
rng = np.random.default_rng(11)
X = sm.add_constant(rng.standard_normal((100, 2)))
print(sm.OLS(X @ [1, 2, 3] + rng.standard_normal(100), X).fit().summary())`
  }
]
