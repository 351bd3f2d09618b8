"""How this machine computes: `python -I fingerprint.py` prints one JSON object.

A few dozen short calculations whose last digits depend on the code path that BLAS, numpy and the C library choose. The digest
of all results names the path: machines with the same digest compute alike, whatever processor they have. About a second.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
from collections.abc import Callable, Iterator
from typing import Any

VERSION = 1
Probe = tuple[str, Callable[[], Any]]
#: Arguments of each function of the C library: its variants differ in one of a thousand.
COUNT = 4000


def libm() -> Iterator[Probe]:
    """The C library, where FMA and AVX2 variants round differently."""
    points = [math.ldexp(0.5 + k * 0.000917, k % 5 - 1) for k in range(COUNT)]
    for name in ("sin", "cos", "tan", "exp", "log", "atan", "sinh", "erf", "lgamma", "log2", "expm1", "cbrt"):
        function = getattr(math, name, None)
        if function is not None:
            yield f"libm.{name}", lambda function=function: struct.pack(f"<{COUNT}d", *map(function, points))
    yield "libm.pow", lambda: struct.pack(f"<{COUNT}d", *(x**1.3717 for x in points))
    yield "libm.atan2", lambda: struct.pack(f"<{COUNT}d", *(math.atan2(x, 1.1 + 1 / x) for x in points))


def numpy_probes() -> Iterator[Probe]:
    import numpy as np

    rng = np.random.Generator(np.random.PCG64(20240229))
    x = rng.standard_normal(4099) * 3
    positive = np.abs(x) + 0.01
    small = x.astype(np.float32)
    for name in ("sin", "cos", "tan", "exp", "arctan", "tanh", "cbrt", "expm1", "exp2"):
        yield f"numpy.{name}", lambda name=name: getattr(np, name)(x)
    for name in ("log", "log1p", "log2", "log10", "sqrt"):
        yield f"numpy.{name}", lambda name=name: getattr(np, name)(positive)
    for name in ("sin", "exp", "tanh"):
        yield f"numpy.{name}32", lambda name=name: getattr(np, name)(small)
    yield "numpy.power", lambda: np.power(positive, 1.3717)
    yield "numpy.sum", lambda: (np.add.reduce(x), small.sum(), x.mean(), x.std(), np.cumsum(x)[-1])
    yield "numpy.argsort", lambda: np.argsort((x * 4).astype(np.int64))
    yield "numpy.argsort_float", lambda: np.argsort(np.round(x, 1))
    yield "numpy.partition", lambda: np.argpartition(np.round(x, 1), 500)
    yield "numpy.fft", lambda: np.fft.fft(x)

    a = rng.standard_normal((150, 150))
    v = rng.standard_normal(3001)
    yield "blas.dot", lambda: (v @ v, v[:-1] @ v[1:])
    yield "blas.gemm", lambda: a @ a
    yield "blas.gemm32", lambda: a.astype(np.float32) @ a.astype(np.float32)
    yield "blas.gemv", lambda: a @ a[0]
    yield "blas.complex", lambda: (a + 1j * a.T) @ (a.T - 1j * a)
    yield "lapack.solve", lambda: np.linalg.solve(a, a[0])
    yield "lapack.inv", lambda: np.linalg.inv(a)
    yield "lapack.svd", lambda: np.linalg.svd(a, compute_uv=False)
    yield "lapack.eigh", lambda: np.linalg.eigh(a + a.T)[0]
    yield "lapack.qr", lambda: np.abs(np.linalg.qr(a)[1])
    yield "lapack.cholesky", lambda: np.linalg.cholesky(a @ a.T + 150 * np.eye(150))


def scipy_probes() -> Iterator[Probe]:
    # A BLAS of its own, and special functions on the C library.
    import numpy as np
    from scipy import linalg, special

    rng = np.random.Generator(np.random.PCG64(7))
    a = rng.standard_normal((120, 120))
    x = np.abs(rng.standard_normal(1000)) + 0.1
    yield "scipy.expm", lambda: linalg.expm(a / 30)
    yield "scipy.schur", lambda: np.abs(linalg.schur(a)[0]).sum()
    yield "scipy.lu", lambda: linalg.lu_factor(a)[0]
    yield "scipy.jv", lambda: special.jv(1.5, x)
    yield "scipy.gamma", lambda: special.gammaln(x)


def as_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, tuple):
        return b"".join(map(as_bytes, value))
    import numpy as np

    array = np.ascontiguousarray(value)
    return f"{array.dtype.str}{array.shape}".encode() + array.tobytes()


def blas_of(package: Any) -> str:
    """Which kernels the OpenBLAS beside a package has chosen, and how many threads it has."""
    import ctypes
    import glob

    for file in glob.glob(f"{os.path.dirname(package.__path__[0])}/{package.__name__}.libs/libscipy_openblas*"):
        library = ctypes.CDLL(file)
        for suffix in ("64_", ""):
            core = getattr(library, f"scipy_openblas_get_corename{suffix}", None)
            if core is not None:
                core.restype = ctypes.c_char_p
                return f"{core().decode()}x{getattr(library, f'scipy_openblas_get_num_threads{suffix}')()}"
    return "unknown"


def describe(results: dict[str, str]) -> tuple[str, list[str]]:
    """What the libraries say of themselves, and which pins of the environment aren't in force."""
    said: list[str] = []
    amiss: list[str] = []
    wanted = (os.environ.get("OPENBLAS_CORETYPE"), os.environ.get("OPENBLAS_NUM_THREADS"))
    for name in ("numpy", "scipy"):
        try:
            blas = blas_of(__import__(name))
        except (ImportError, OSError, AttributeError):
            continue
        said.append(f"blas.{name}={blas}")
        if wanted[0] and blas != "unknown" and blas != f"{wanted[0]}x{wanted[1] or 1}":
            amiss.append(f"the BLAS of {name} is {blas}, not {wanted[0]}x{wanted[1] or 1}")
    try:
        from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

        on = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
        said.append(f"simd={','.join(on) or 'baseline'}")
        off = os.environ.get("NPY_DISABLE_CPU_FEATURES", "").split()
        amiss += [f"numpy uses {name}" for name in on if name in off]
    except ImportError:
        pass
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    path = "plain" if plain_libm() else "fma"
    said.append(f"libm={path}")
    if "-FMA" in tunables and path != "plain":
        amiss.append("the C library uses FMA")
    return " ".join(said), amiss


#: Arguments for which the variants of the C library with and without FMA round differently, and the result without.
PLAIN = (
    ("sin", "0x1.75f2fcad0d00fp+1", "0x1.bf29e5fbab3d5p-3"),
    ("sin", "0x1.aa983a62b501bp-3", "0x1.a784375593f34p-3"),
    ("exp", "0x1.155154076135ep+2", "0x1.30b788a28702ep+6"),
    ("exp", "0x1.2a9948ca4ff6ap+2", "0x1.a8eb6e3f7b788p+6"),
    ("atan", "0x1.3fd35c5c8e551p+1", "0x1.30aa85a7a9ecap+0"),
)


def plain_libm() -> bool:
    """Whether the C library takes its variants without FMA (GLIBC_TUNABLES is a wish; this is what came of it)."""
    return all(getattr(math, name)(float.fromhex(x)) == float.fromhex(y) for name, x, y in PLAIN)


def main() -> None:
    results: dict[str, str] = {}
    for group in (libm, numpy_probes, scipy_probes):
        try:
            for name, probe in group():
                results[name] = hashlib.sha256(as_bytes(probe())).hexdigest()
        except ImportError:
            # An image without it: the digest says so by what it lacks.
            continue
    if not any(name.startswith("numpy") for name in results):
        raise SystemExit("numpy is missing: nothing to tell processors apart by")
    listing = "".join(f"{name}={digest}\n" for name, digest in sorted(results.items()))
    digest = hashlib.sha256(f"pekka/fingerprint/v{VERSION}\n{listing}".encode()).hexdigest()
    path, amiss = describe(results)
    print(json.dumps({"v": VERSION, "digest": digest, "path": path, "amiss": amiss, "probes": results}))


if __name__ == "__main__":
    main()
