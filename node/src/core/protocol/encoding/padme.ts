/**
 * Padmé (Nikitin et al., PURBs, 2019): rounds a size up so that only O(log log) of it leaks, at most 12 % more (R37).
 */
export function padme(size: number): number {
  if (size < 256) return 256
  const exponent = Math.floor(Math.log2(size))
  const significant = Math.floor(Math.log2(exponent)) + 1
  const step = 2 ** (exponent - significant)
  return Math.ceil(size / step) * step
}
