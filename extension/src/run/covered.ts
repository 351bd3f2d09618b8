import type { TravelPlan } from '../values/index.js'

/** Whether the kernel has the name, and its value can travel: else the cells that make it may run there too. */
export const isThere = ({ values, rows }: Pick<TravelPlan, 'values' | 'rows'>, name: string): boolean =>
  values.some(value => value.name === name) && !rows.some(({ id, cannot }) => id === `value:${name}` && cannot !== null)
