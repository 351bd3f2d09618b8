# Run once in the build: galois compiles its arithmetic with numba, which would take each sandbox seconds at the first use.
import galois
import numpy as np

field = galois.GF(2**8)
elements = field(np.arange(1, 200, dtype=np.uint8))
elements * elements + elements / elements
np.linalg.inv(field(np.array([[1, 2], [3, 4]], dtype=np.uint8)))
binary = galois.GF2(np.array([[1, 0], [1, 1]], dtype=np.uint8))
binary @ binary
for code in (galois.BCH(15, 7), galois.BCH(31, 16), galois.ReedSolomon(15, 9)):
    word = code.encode(code.field(np.zeros((2, code.k), dtype=np.uint8)))
    word[0, 1] += code.field(1)
    code.decode(word)
