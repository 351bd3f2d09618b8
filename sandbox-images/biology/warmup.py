# Run once in the build: neighbours and UMAP compile their functions with numba, which would take each sandbox half a minute at the first use.
import anndata
import numpy as np
import scanpy as sc

cells = anndata.AnnData(np.random.default_rng(0).poisson(2.0, (600, 100)).astype(np.float32))
sc.pp.normalize_total(cells)
sc.pp.log1p(cells)
sc.pp.pca(cells, n_comps=10)
sc.pp.neighbors(cells)
sc.tl.umap(cells)
