/** A cell that prints numbers, slowly enough to do something meanwhile. */
export const counting = (n: number, seconds = 0.25): string =>
  `import time\nfor i in range(${n}):\n    print("n", i, flush=True)\n    time.sleep(${seconds})\nprint("end")`

/** What it has printed at its end. */
export const counted = (n: number): string => `${Array.from({ length: n }, (_, i) => `n ${i}\n`).join('')}end\n`
