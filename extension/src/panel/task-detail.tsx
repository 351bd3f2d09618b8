import React from 'react'
import type { TaskPhase } from '@pekka/node/client'
import type { IconName } from '../line/index.js'
import { REFUTED } from '../line/proof.js'
import { costOf, isOver, type RemoteTask } from '../run/index.js'
import type { TasksPanelComponents } from './components.js'
import { Icon } from './icon.js'
import { costWords, type TaskRow } from './view.js'

/** The open task: what it cost, its last lines, how it went, and what can be done with it. */
export function TaskDetail(props: {
  task: RemoteTask
  components: TasksPanelComponents
  asking: boolean
  ask: (wanted: boolean) => void
  close: () => void
}): React.ReactElement {
  const { task, components, asking, ask, close } = props
  const { now, actions } = components
  const { snapshot } = task
  const over = isOver(snapshot)
  const insert = actions.insertOutput(task)
  return (
    <section className="pk-Detail" aria-label={`Details of ${snapshot.title}`}>
      <div className="pk-Detail-header">
        <h3>{snapshot.title}</h3>
        <button className="pk-IconButton" aria-label="Close details" onClick={close}>
          <Icon name="close" />
        </button>
      </div>
      <p>
        {costWords(costOf(snapshot, now()), snapshot.cap)}
        {snapshot.provider !== null && ` · ${snapshot.provider}`}
        {snapshot.image !== null && ` · ${snapshot.image}`}
      </p>
      {snapshot.lastLines.length > 0 && (
        <>
          <h4>Output, last lines</h4>
          <pre>{snapshot.lastLines.join('\n')}</pre>
        </>
      )}
      <Timeline task={task} clock={components.clock} />
      {asking ? (
        <div role="alertdialog" aria-label={`Cancel ${snapshot.title}?`} className="pk-Detail-ask">
          <p>Cancel {snapshot.title}? You pay for the time until now; output so far is kept.</p>
          <button
            className="pk-Button pk-mod-go"
            autoFocus
            onClick={() => {
              ask(false)
              actions.cancel(task)
            }}
          >
            Cancel task
          </button>
          <button className="pk-Button" onClick={() => ask(false)}>
            Keep it
          </button>
        </div>
      ) : (
        <div className="pk-Detail-actions">
          {!over && (
            <button className="pk-Button" disabled={snapshot.cancelling} onClick={() => ask(true)}>
              <Icon name="stop" /> Cancel
            </button>
          )}
          {insert !== undefined && (
            <button className="pk-Button" title="Its cell was deleted: show its output in a new one" onClick={insert}>
              Insert output
            </button>
          )}
          {insert === undefined && snapshot.path !== null && snapshot.kind !== 'script' && (
            <button className="pk-Button" onClick={() => actions.goTo(task)}>
              Go to cell
            </button>
          )}
          {snapshot.phase.phase === 'settled' && (
            <button className="pk-Button" onClick={() => actions.receipt(task)}>
              <Icon name="receipt" /> Receipt
            </button>
          )}
        </div>
      )}
    </section>
  )
}

/** Whose word it is that it was paid so, or that so much came back. */
function paidStep({ phase, proof }: Extract<TaskPhase, { phase: 'settled' | 'refunded' }>) {
  const step = { at: null, icon: 'done', tone: 'plain' } as const
  if (proof === 'refuted') return { ...step, text: REFUTED, icon: 'error', tone: 'bad' } as const
  if (proof === 'proven') return { ...step, text: 'Settled' }
  return { ...step, text: phase === 'settled' ? 'Paid, as the bridge says' : 'Money came back, as the bridge says' }
}

function Timeline({ task, clock }: { task: RemoteTask; clock: (ms: number) => string }): React.ReactElement {
  const view = task.item?.view ?? null
  const { snapshot } = task
  const steps: { text: string; at: number | null; icon: IconName; tone: TaskRow['tone'] }[] = [
    { text: 'Sent', at: snapshot.submittedAt, icon: 'done', tone: 'plain' }
  ]
  view?.attempts.forEach((attempt, index) => {
    const failed = attempt.ended === 'failed' || attempt.ended === 'lapsed'
    const name =
      index === view.attempts.length - 1 ? (snapshot.provider ?? 'a machine') : (snapshot.lost ?? 'a machine')
    steps.push({
      text: failed ? `Try ${index + 1}: ${name} lost contact, not paid` : `Machine found: ${name}`,
      at: attempt.acceptedAt,
      icon: failed ? 'error' : 'done',
      tone: failed ? 'warn' : 'plain'
    })
  })
  if (snapshot.phase.phase === 'running')
    steps.push({ text: 'Running', at: snapshot.runningSince, icon: 'spinner', tone: 'live' })
  const { phase, kept } = snapshot
  // What came back of a kept machine is its own, no cell's.
  if (phase.phase === 'settled' || (phase.phase === 'refunded' && kept === null)) steps.push(paidStep(phase))
  return (
    <>
      <h4>Timeline</h4>
      <ol className="pk-Timeline">
        {steps.map(({ text, at, icon, tone }) => (
          <li key={text}>
            <Icon name={icon} tone={tone} />
            <span>{text}</span>
            <time>{at === null ? '' : clock(at)}</time>
          </li>
        ))}
      </ol>
    </>
  )
}
