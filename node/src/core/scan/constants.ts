/** Source text longer than this isn't analysed (it is data, not code a person wrote): 1 MiB parses in about a second. */
export const MAX_SOURCE_CHARS = 1 << 20

/** Analyses kept, newest last. A long notebook has a few hundred cells; each entry is a few kilobytes. */
export const CACHE_ENTRIES = 512

/** What Python itself gives a cell. Names of the form `__x__` are left out everywhere, so they aren't listed. */
export const PYTHON_BUILTINS: ReadonlySet<string> = new Set(
  (
    'ArithmeticError AssertionError AttributeError BaseException BaseExceptionGroup BlockingIOError BrokenPipeError BufferError ' +
    'BytesWarning ChildProcessError ConnectionAbortedError ConnectionError ConnectionRefusedError ConnectionResetError ' +
    'DeprecationWarning EOFError Ellipsis EncodingWarning EnvironmentError Exception ExceptionGroup False FileExistsError ' +
    'FileNotFoundError FloatingPointError FutureWarning GeneratorExit IOError ImportError ImportWarning IndentationError ' +
    'IndexError InterruptedError IsADirectoryError KeyError KeyboardInterrupt LookupError MemoryError ModuleNotFoundError ' +
    'NameError None NotADirectoryError NotImplemented NotImplementedError OSError OverflowError PendingDeprecationWarning ' +
    'PermissionError ProcessLookupError PythonFinalizationError RecursionError ReferenceError ResourceWarning RuntimeError ' +
    'RuntimeWarning StopAsyncIteration StopIteration SyntaxError SyntaxWarning SystemError SystemExit TabError TimeoutError ' +
    'True TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError UnicodeTranslateError UnicodeWarning ' +
    'UserWarning ValueError Warning ZeroDivisionError abs aiter all anext any ascii bin bool breakpoint bytearray bytes ' +
    'callable chr classmethod compile complex copyright credits delattr dict dir divmod enumerate eval exec exit filter float ' +
    'format frozenset getattr globals hasattr hash help hex id input int isinstance issubclass iter len license list locals ' +
    'map max memoryview min next object oct open ord pow print property quit range repr reversed round set setattr slice ' +
    'sorted staticmethod str sum super tuple type vars zip'
  ).split(' ')
)

/** What IPython puts into every cell's namespace. `_`, `_3`, `_i3` and the like are matched by {@link IPYTHON_HISTORY}. */
export const IPYTHON_NAMES: ReadonlySet<string> = new Set(['get_ipython', 'display', 'In', 'Out'])

/** `_`, `__`, `___` and `_12` are earlier results, `_i`, `_ii`, `_i12` earlier inputs, `_ih`, `_oh`, `_dh` their lists. */
export const IPYTHON_HISTORY = /^(_{1,3}|_\d+|_i{1,3}|_i\d+|_[iod]h)$/

/** Cell magics whose body is ordinary Python that runs in the same namespace. */
export const PYTHON_CELL_MAGICS: ReadonlySet<string> = new Set([
  'time',
  'timeit',
  'capture',
  'prun',
  'memit',
  'snakeviz'
])

/** Line magics whose rest is ordinary Python. */
export const PYTHON_LINE_MAGICS: ReadonlySet<string> = new Set(['time', 'timeit', 'prun', 'memit', 'mprun', 'lprun'])

/** Functions and methods whose first argument is a file that they read, by their last name. */
export const READERS: ReadonlySet<string> = new Set([
  'open',
  // pandas, polars, geopandas, anndata
  ...[
    'read_csv',
    'read_table',
    'read_fwf',
    'read_excel',
    'read_json',
    'read_html',
    'read_xml',
    'read_hdf',
    'read_feather'
  ],
  ...[
    'read_parquet',
    'read_orc',
    'read_sas',
    'read_spss',
    'read_stata',
    'read_pickle',
    'read_ipc',
    'read_avro',
    'read_file'
  ],
  ...['read_h5ad', 'read_10x_h5', 'read_10x_mtx', 'scan_csv', 'scan_parquet', 'scan_ipc', 'scan_ndjson', 'read_ndjson'],
  // numpy, scipy, xarray, joblib, torch, images, sound
  ...[
    'load',
    'loadtxt',
    'genfromtxt',
    'fromfile',
    'memmap',
    'loadmat',
    'open_dataset',
    'open_dataarray',
    'open_mfdataset'
  ],
  ...['open_zarr', 'imread', 'load_image', 'load_model', 'from_file'],
  // archives, databases, folders, chemistry
  ...['ZipFile', 'is_zipfile', 'File', 'connect', 'listdir', 'scandir', 'walk', 'glob', 'iglob'],
  ...['MolFromMolFile', 'MolFromPDBFile', 'MolFromMol2File', 'SDMolSupplier', 'SmilesMolSupplier']
])

/**
 * Functions whose first argument may be an address, by their last name: those that open a declared input by its address where the
 * code runs (sandbox-images/runner/stand_ins/pekka_inputs.py serves urllib and requests, and whatever is built on them).
 */
export const ADDRESS_READERS: ReadonlySet<string> = new Set([
  // urllib, wget, pooch, torch, torchvision
  ...[
    'urlopen',
    'urlretrieve',
    'Request',
    'retrieve',
    'load_state_dict_from_url',
    'download_url_to_file',
    'download_url'
  ],
  // pandas, polars, geopandas
  ...['read_csv', 'read_table', 'read_fwf', 'read_excel', 'read_json', 'read_html', 'read_xml', 'read_feather'],
  ...['read_parquet', 'read_orc', 'read_stata', 'read_sas', 'read_pickle', 'read_file'],
  // numpy, scikit-image
  ...['loadtxt', 'genfromtxt', 'imread']
])

/**
 * Functions and classes of scientific libraries that read files, by their last name (`SeqIO.parse`, `mda.Universe`, `sf.read`). Many take
 * other texts too, so what they are given counts where it surely is the name of a file.
 */
export const OTHER_READERS = new RegExp(
  '^(?:(?:read|load|parse|Read|Load|Parse)(?:[_A-Z].*)?|get_structure|getdata|getheader|dcmread|mmread|mimread|get_reader|' +
    '(?:Alignment|Variant|Fasta|Fastq|Tabix|BigWig|Sound|Audio|PDB|PDBx|AmberPrmtop|CharmmPsf|Gromacs(?:Top|Gro))File|' +
    'Universe|Network|Dataset|BedTool|VideoCapture|PdfReader|ForwardSDMolSupplier|MolFrom\\w*File|Fasta)$'
)

/** Keyword names under which those functions take the file. */
export const PATH_KEYWORDS: ReadonlySet<string> = new Set(
  'file filename filename_or_obj fname path path_or_buf filepath filepath_or_buffer io source fp'.split(' ')
)

/** Methods of a `pathlib.Path` that read what it names. */
export const PATH_READ_METHODS: ReadonlySet<string> = new Set([
  'read_text',
  'read_bytes',
  'open',
  'iterdir',
  'glob',
  'rglob'
])

/**
 * Methods called for what they show or return. A statement `x.method()` outside this list is taken to change `x`, so that
 * "needed cells" includes `model.fit(X, y)` but not every `df.head()`.
 */
export const SHOWING_METHODS: ReadonlySet<string> = new Set(
  (
    'head tail describe info sample value_counts nunique unique isna isnull notna sum mean median std var min max count ' +
    'plot hist boxplot scatter show savefig imshow to_csv to_excel to_json to_parquet to_string to_markdown to_html to_latex ' +
    'to_numpy to_list tolist groupby pivot_table corr cov query filter copy keys values items predict predict_proba score ' +
    'summary print format join split strip lower upper startswith endswith display get get_params item shape dtype'
  ).split(' ')
)

/** Methods that change their object even where the result is used, as `history = model.fit(…)`. */
export const CHANGING_METHODS: ReadonlySet<string> = new Set(
  (
    'fit fit_transform fit_predict partial_fit append extend insert update add pop popitem remove clear sort reverse ' +
    'setdefault discard load_state_dict train compile'
  ).split(' ')
)
