"""Code paths of the numeric libraries (reproducibility.md §1.1): they are chosen by the environment before the interpreter
starts, so a task that wants others than the image's gets a new interpreter."""

from __future__ import annotations

from collections.abc import Mapping

PATHS = ("pinned", "native", "other")

_CHOOSING = (
    "OPENBLAS_CORETYPE",
    "NPY_DISABLE_CPU_FEATURES",
    "GLIBC_TUNABLES",
    "MKL_CBWR",
    "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
)
_THREADS = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)
#: Another kind of processor, simulated: an older one for BLAS and numpy (no AVX2), a newer one for the C library (FMA).
_OTHER = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "NUMBA_CPU_NAME": "nehalem",
    "NUMBA_CPU_FEATURES": "",
}


def environment(path: str, cpus: int, base: Mapping[str, str]) -> dict[str, str]:
    """`base`, the image's environment, changed for `path`.

    `native` lets every library take what the processor has, and as many threads as the task has CPUs."""
    changed = dict(base)
    if path == "pinned":
        return changed
    for name in _CHOOSING:
        changed.pop(name, None)
    if path == "other":
        return changed | _OTHER
    return changed | dict.fromkeys(_THREADS, str(cpus))
