import React, { useState } from 'react'
import { differs, isAdded, type ImageChoice } from '@pekka/node/scan'
import { AUTOMATIC, type EnvironmentOptions } from '../run/index.js'
import { addedWords, chipOf } from './view.js'

export interface EnvironmentRowProps {
  choice: ImageChoice
  options: EnvironmentOptions
  /** Environments that the bridge's machines offer. */
  offered: readonly string[]
  decide: (options: EnvironmentOptions) => void
}

/** Which environment, why, and a way to change it. */
export function EnvironmentRow({ choice, options, offered, decide }: EnvironmentRowProps): React.ReactElement {
  const [open, setOpen] = useState(false)
  const names = [...new Set([choice.image, ...offered])].sort()
  const chip = chipOf(choice)
  return (
    <dd className="pk-Environment">
      {open ? (
        <select
          className="pk-Select"
          aria-label="Environment"
          autoFocus
          value={options.image ?? AUTOMATIC}
          onChange={event => {
            const { value } = event.target
            decide({ ...options, image: value === AUTOMATIC ? undefined : value })
          }}
        >
          <option value={AUTOMATIC}>as the code needs</option>
          {names.map(name => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      ) : (
        <>
          <span>{choice.image}</span>
          {chip !== null && <span className="pk-Chip">{chip}</span>}
        </>
      )}
      <span className="pk-Quiet pk-Environment-why">
        {choice.reasons.join(' ')}{' '}
        {!open && (
          <button
            type="button"
            className="pk-TextLink"
            aria-label="Change the environment"
            onClick={() => setOpen(true)}
          >
            Change
          </button>
        )}
      </span>
    </dd>
  )
}

/** What nobody knows, and what nothing has: each with its ways out. Nothing is charged before they are answered. */
export function PackageQuestions({
  choice,
  options,
  decide
}: Omit<EnvironmentRowProps, 'offered'>): React.ReactElement | null {
  const answer = (module: string, distribution: string | null): void =>
    decide({ ...options, answers: new Map([...options.answers, [module, distribution]]) })
  const lacking = choice.missing.filter(isAdded)
  if (choice.questions.length === 0 && lacking.length === 0) return null
  return (
    <ul className="pk-Questions" aria-label="Packages">
      {choice.questions.map(({ module, suggestion, text }) => (
        <li key={module}>
          <span>{text}</span>
          <span className="pk-Questions-ways">
            {suggestion !== null && (
              <button type="button" className="pk-Button pk-mod-small" onClick={() => answer(module, suggestion)}>
                Use {suggestion}
              </button>
            )}
            <LeaveOut module={module} leave={() => answer(module, null)} />
          </span>
        </li>
      ))}
      {lacking.map(one => {
        const { module, elsewhere } = one
        return (
          <li key={module}>
            <span>{addedWords(one, choice.image)}</span>
            <span className="pk-Questions-ways">
              {elsewhere !== null && (
                <button
                  type="button"
                  className="pk-Button pk-mod-small"
                  onClick={() => decide({ ...options, image: elsewhere })}
                >
                  Use {elsewhere}
                </button>
              )}
              {!differs(one) && <LeaveOut module={module} leave={() => answer(module, null)} />}
            </span>
          </li>
        )
      })}
    </ul>
  )
}

const LeaveOut = ({ module, leave }: { module: string; leave: () => void }): React.ReactElement => (
  <button type="button" className="pk-Button pk-mod-small" aria-label={`Leave out ${module}`} onClick={leave}>
    Leave out
  </button>
)
