/** Scripts and cells as people of each field write them, and the environment that each needs. */

export interface Example {
  what: string
  source: string
  /** The environment; with `?name` a question about that name. */
  image: string
  /** Distributions that no environment has. */
  missing?: string[]
}

const example = (what: string, image: string, source: string, missing?: string[]): Example => ({
  what,
  image,
  source: source.replace(/^\n/, ''),
  ...(missing === undefined ? {} : { missing })
})

export const SCRIPTS: Example[] = [
  // base
  example(
    'least squares',
    'base',
    `
import numpy as np
from scipy.optimize import curve_fit
def model(x, a, b): return a * np.exp(-b * x)
popt, pcov = curve_fit(model, np.linspace(0, 4, 50), np.random.rand(50))
print(popt, np.sqrt(np.diag(pcov)))`
  ),
  example(
    'a table and a plot',
    'base',
    `
import pandas as pd, matplotlib.pyplot as plt
import seaborn as sns
df = pd.DataFrame({'x': range(10)}); sns.lineplot(data=df, x='x', y='x'); plt.show()`
  ),
  example(
    'nothing but the standard library',
    'base',
    `
from __future__ import annotations
import json, os.path as p, collections.abc, xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
print(json.dumps({}))`
  ),
  example(
    '3d axes of matplotlib',
    'base',
    `
%matplotlib inline
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.axes_grid1 import make_axes_locatable
import matplotlib as mpl`
  ),
  example(
    'the image library under its old name',
    'base',
    `
from PIL import Image, ImageFilter
import skimage.io, skimage.filters as flt
im = Image.new('RGB', (10, 10))`
  ),
  example(
    'scikit-learn pipeline',
    'base',
    `
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
clf = make_pipeline(StandardScaler(), SVC())`
  ),
  example(
    'yaml and dates',
    'base',
    `
import yaml, pytz
from dateutil.parser import parse
from dateutil.relativedelta import relativedelta
conf = yaml.safe_load('a: 1')`
  ),
  example(
    'symbolic mechanics',
    'base',
    `
import sympy as sp
from sympy.physics.mechanics import dynamicsymbols, LagrangesMethod
t = sp.symbols('t')`
  ),
  example(
    'posterior sampling',
    'base',
    `
import emcee, corner
import numpy as np
def lnp(theta): return -0.5 * np.sum(theta ** 2)
sampler = emcee.EnsembleSampler(32, 2, lnp)`
  ),
  example(
    'astronomy tables',
    'base',
    `
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
c = SkyCoord(ra=10 * u.deg, dec=41 * u.deg)`
  ),
  example(
    'gridded data',
    'base',
    `
import xarray as xr, dask.array as da, netCDF4, zarr
ds = xr.Dataset({'t': (('x',), [1, 2, 3])})`
  ),
  example(
    'a numba kernel',
    'base',
    `
from numba import njit, prange
@njit(parallel=True)
def total(a):
    s = 0.0
    for i in prange(a.size): s += a[i]
    return s`
  ),
  example(
    'an optional accelerator that falls back',
    'base',
    `
try:
    import cupy as xp
except ImportError:
    import numpy as xp
print(xp.arange(3).sum())`
  ),
  example(
    'a progress bar that may be missing',
    'base',
    `
try:
    from tqdm.auto import tqdm
except ImportError:
    def tqdm(x): return x
import statsmodels.api as sm
import statsmodels.formula.api as smf`
  ),
  example(
    'imports for type checkers only',
    'base',
    `
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import torch
    from rdkit import Chem
import numpy as np`
  ),
  example(
    'a backport that this Python does not need',
    'base',
    `
import sys
if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib
print(tomllib.loads('a = 1'))`
  ),
  example(
    'another system’s module',
    'base',
    `
import sys, os
if sys.platform == 'win32':
    import win32api
elif os.name == 'nt':
    import msvcrt
import psutil`
  ),
  example(
    'Colab’s module, looked for',
    'base',
    `
try:
    import google.colab
    IN_COLAB = True
except ImportError:
    IN_COLAB = False
import pandas as pd`
  ),
  example(
    'an extension of IPython in a package of its own',
    'base',
    `
%load_ext line_profiler
import numpy as np`,
    ['line-profiler']
  ),
  example(
    'code that only speaks of others',
    'base',
    `
"""Uses torch and rdkit if you let it: import torch"""
# import rdkit
text = 'import tensorflow as tf'
import polars as pl
print(text)`
  ),
  example(
    'an old-style converter',
    'base',
    `
import importlib
np = importlib.import_module('numpy')
linalg = __import__('scipy.linalg')
from bs4 import BeautifulSoup
import lxml.etree, requests`
  ),
  // chemistry
  example(
    'conformers',
    'chemistry',
    `
from rdkit import Chem
from rdkit.Chem import AllChem, Draw
mol = Chem.AddHs(Chem.MolFromSmiles('CCO'))
AllChem.EmbedMultipleConfs(mol, 10, randomSeed=7)`
  ),
  example(
    'a geometry by xTB',
    'chemistry',
    `
from ase.build import molecule
from tblite.ase import TBLite
atoms = molecule('H2O'); atoms.calc = TBLite(method='GFN2-xTB')
print(atoms.get_potential_energy())`
  ),
  example(
    'Hartree-Fock',
    'chemistry',
    `
from pyscf import gto, scf, dft
mol = gto.M(atom='H 0 0 0; F 0 0 1.1', basis='ccpvdz')
mf = scf.RHF(mol).run()`
  ),
  example(
    'molecular dynamics',
    'chemistry',
    `
from openmm.app import *
from openmm import *
from openmm.unit import *
import MDAnalysis as mda, mdtraj as md
u = mda.Universe('a.pdb')`
  ),
  example(
    'crystals',
    'chemistry',
    `
from pymatgen.core import Structure, Lattice
import spglib
s = Structure(Lattice.cubic(4.2), ['Cs', 'Cl'], [[0, 0, 0], [.5, .5, .5]])`
  ),
  example(
    'a flame',
    'chemistry',
    `
import cantera as ct
gas = ct.Solution('gri30.yaml'); gas.TPX = 300, ct.one_atm, 'CH4:1, O2:2, N2:7.52'; gas.equilibrate('HP')`
  ),
  example(
    'descriptors, imported in a function',
    'chemistry',
    `
import pandas as pd
def descriptors(smiles):
    from mordred import Calculator, descriptors
    from rdkit.Chem import MolFromSmiles
    return Calculator(descriptors)(MolFromSmiles(smiles))`
  ),
  example(
    'chemistry where it can be had',
    'chemistry',
    `
import numpy as np
try:
    from rdkit import Chem
    HAVE_RDKIT = True
except ImportError:
    HAVE_RDKIT = False`
  ),
  example(
    'chemistry that is needed after all',
    'chemistry',
    `
import sys
try:
    from openbabel import pybel
except ImportError:
    print('please install openbabel'); sys.exit(1)`
  ),
  example(
    'a formats’ reader',
    'chemistry',
    `
import cclib, gemmi
data = cclib.io.ccread('out.log')`,
    ['cclib']
  ),
  // biology
  example(
    'an alignment and a tree',
    'biology',
    `
from Bio import SeqIO, Phylo, AlignIO
from Bio.Align import PairwiseAligner
from Bio.Phylo.TreeConstruction import DistanceCalculator, DistanceTreeConstructor
aligner = PairwiseAligner()`
  ),
  example(
    'single cells',
    'biology',
    `
import scanpy as sc, anndata as ad
import numpy as np
adata = ad.AnnData(np.random.poisson(1, (100, 50)).astype('f4'))
sc.pp.normalize_total(adata); sc.tl.leiden(adata)`
  ),
  example(
    'survival',
    'biology',
    `
from lifelines import KaplanMeierFitter, CoxPHFitter
import pandas as pd
kmf = KaplanMeierFitter()`
  ),
  example(
    'flux balance',
    'biology',
    `
import cobra
from cobra.io import load_model
model = load_model('textbook'); print(model.optimize().objective_value)`
  ),
  example(
    'coalescents',
    'biology',
    `
import msprime, tskit
ts = msprime.sim_ancestry(5, sequence_length=1e4, random_seed=1)`
  ),
  example(
    'reads',
    'biology',
    `
import pysam, pyfaidx, cyvcf2
bam = pysam.AlignmentFile('x.bam')`
  ),
  example(
    'differential expression',
    'biology',
    `
from pydeseq2.dds import DeseqDataSet
from pydeseq2.ds import DeseqStats
import gseapy as gp`
  ),
  example(
    'diversity',
    'biology',
    `
from skbio.diversity import alpha_diversity
import skbio.stats.distance`
  ),
  example(
    'a logo',
    'biology',
    `
import logomaker, igraph, leidenalg
logomaker.demo('fig1b')`
  ),
  // telecommunications
  example(
    'bit errors of a code',
    'telecommunications',
    `
import numpy as np, galois
rs = galois.ReedSolomon(15, 9); GF = rs.field
from tqdm import trange`
  ),
  example(
    'LDPC',
    'telecommunications',
    `
import pyldpc
H, G = pyldpc.make_ldpc(15, 4, 5, systematic=True, sparse=True)`
  ),
  example(
    'control',
    'telecommunications',
    `
import control as ct
sys = ct.tf([1], [1, 2, 1]); t, y = ct.step_response(sys)`
  ),
  example(
    'a filter',
    'telecommunications',
    `
from filterpy.kalman import KalmanFilter
import scipy.signal as sig`
  ),
  example(
    'microwaves',
    'telecommunications',
    `
import skrf as rf
ring = rf.data.ring_slot`
  ),
  example(
    'sound',
    'telecommunications',
    `
import librosa, librosa.display
import soundfile as sf
y, sr = librosa.load('a.wav')`
  ),
  example(
    'queues',
    'telecommunications',
    `
import simpy, random
env = simpy.Environment()`
  ),
  example(
    'orbits',
    'telecommunications',
    `
from sgp4.api import Satrec
from skyfield.api import load, EarthSatellite`
  ),
  // machine learning
  example(
    'a small network',
    'machine-learning',
    `
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))`
  ),
  example(
    'boosting',
    'machine-learning',
    `
import xgboost as xgb, lightgbm as lgb
from catboost import CatBoostClassifier
from sklearn.datasets import make_classification`
  ),
  example(
    'transformers',
    'machine-learning',
    `
from transformers import AutoTokenizer, AutoModel
from datasets import load_dataset
import sentencepiece`
  ),
  example(
    'JAX',
    'machine-learning',
    `
import jax, jax.numpy as jnp, optax
from flax import linen as nn
print(jax.grad(lambda x: x ** 2)(3.0))`
  ),
  example(
    'hyperparameters',
    'machine-learning',
    `
import optuna
from sklearn.ensemble import RandomForestClassifier
study = optuna.create_study()`
  ),
  example(
    'explanations and imbalance',
    'machine-learning',
    `
import shap
from imblearn.over_sampling import SMOTE
from sklearn.linear_model import LogisticRegression`
  ),
  example(
    'embeddings by one of both',
    'machine-learning',
    `
try:
    import torch
    backend = 'torch'
except ImportError:
    import numpy as torch
import gensim`
  ),
  example(
    'optimal transport',
    'machine-learning',
    `
import ot
import numpy as np
print(ot.emd2([.5, .5], [.5, .5], np.ones((2, 2))))`
  ),
  // rendering
  example(
    'a path tracer',
    'rendering',
    `
import mitsuba as mi
import drjit as dr
mi.set_variant('scalar_rgb'); img = mi.render(mi.load_dict(mi.cornell_box()))`
  ),
  example(
    'meshes',
    'rendering',
    `
import trimesh, meshio
mesh = trimesh.creation.icosphere()`
  ),
  example(
    'volumes',
    'rendering',
    `
import pyvista as pv, vtk
from vtkmodules.vtkRenderingCore import vtkActor
pv.Sphere().plot(off_screen=True)`
  ),
  example(
    'a film',
    'rendering',
    `
from moviepy import VideoClip
from pxr import Usd, UsdGeom
from stl import mesh`
  ),
  // in several; the smallest one
  example(
    'umap is in biology and in machine learning',
    'biology',
    `
import umap
import numpy as np
print(umap.UMAP().fit_transform(np.random.rand(50, 4)))`
  ),
  example(
    'shapely is in rendering alone',
    'rendering',
    `
from shapely.geometry import Point, Polygon
print(Point(0, 0).buffer(1).area)`
  ),
  example(
    'pictures with OpenCV are in two',
    'machine-learning',
    `
import cv2
import numpy as np
print(cv2.GaussianBlur(np.zeros((5, 5)), (3, 3), 0))`
  ),
  // outside of all
  example(
    'maps',
    'base',
    `
import geopandas as gpd
from cartopy import crs as ccrs
gpd.GeoDataFrame()`,
    ['cartopy', 'geopandas']
  ),
  example(
    'chemistry and something else',
    'chemistry',
    `
from rdkit import Chem
import chemprop`,
    ['chemprop']
  ),
  example(
    'a package under its other name',
    'base',
    `
import fitz
import docx
doc = fitz.open('a.pdf')`,
    ['pymupdf', 'python-docx']
  ),
  example(
    'a part of a namespace',
    'base',
    `
from google.cloud import storage
storage.Client()`,
    ['google-cloud-storage']
  ),
  example(
    'an install line in a notebook',
    'base',
    `
%pip install -q lmfit==1.3.2 "mapclassify>=2.6" --no-cache-dir
!pip install git+https://example.org/x.git
import lmfit, mapclassify`,
    ['lmfit', 'mapclassify']
  ),
  example(
    'a script’s own list (PEP 723)',
    'base',
    `
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "numpy",
#   "dynesty>=2",  # nested sampling
#   "rich[jupyter]",
# ]
# ///
import numpy, dynesty`,
    // Whether base has what an extra asks for, the resolver knows.
    ['dynesty', 'rich']
  ),
  example(
    'torch and rdkit at once: one has most',
    'chemistry',
    `
import torch
from rdkit import Chem
import openmm`,
    ['torch']
  ),
  // questions
  example(
    'a slip of the pen',
    '?rdkit2',
    `
import rdkit2
from rdkit2 import Chem`
  ),
  example(
    'a slip in numpy',
    '?nunpy',
    `
import nunpy as np`
  ),
  example(
    'somebody’s own module that is not here',
    '?mylab_helpers',
    `
from mylab_helpers.io import read_run
import numpy as np`
  ),
  example(
    'a namespace nobody knows',
    '?google',
    `
from google.madeup import client`
  ),
  example(
    'an alternative of which neither is known',
    '?fastmadeup',
    `
try:
    import fastmadeup as engine
except ImportError:
    import slowmadeup as engine`
  )
]
