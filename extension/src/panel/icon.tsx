import React from 'react'
import { labIcon, type IconName } from '../line/index.js'
import type { TaskRow } from './view.js'

/** A drawing of ours in the tone of what it stands for. */
export const Icon = ({ name, tone = 'plain' }: { name: IconName; tone?: TaskRow['tone'] }): React.ReactElement => {
  const Drawing = labIcon(name)
  return (
    <Drawing.react tag="span" className={`pk-Icon pk-mod-${tone}${name === 'spinner' ? ' pk-mod-spinning' : ''}`} />
  )
}
