# Run once in the build: UMAP compiles its functions with numba when it is imported and first used, which takes a minute.
import numpy as np
import umap

umap.UMAP(n_neighbors=10).fit(np.random.default_rng(0).normal(size=(300, 10)))
