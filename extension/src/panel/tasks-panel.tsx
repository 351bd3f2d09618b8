import React, { useEffect, useReducer, useRef, useState } from 'react'
import { ReactWidget } from '@jupyterlab/ui-components'
import { billCredits, credits, guessCredits } from '@pekka/node/client'
import type { Message } from '@lumino/messaging'
import { Signal, type ISignal } from '@lumino/signaling'
import type { Connection } from '../connection/index.js'
import { labIcon, type IconName } from '../line/index.js'
import { costOf, isOver, type RemoteTask, type Tasks } from '../run/index.js'
import { balanceWords, connectionWords, groupTasks, type TaskRow } from './view.js'

export interface TasksPanelActions {
  cancel(task: RemoteTask): void
  goTo(task: RemoteTask): void
  receipt(task: RemoteTask): void
  /** Undefined unless the task's cells are gone from its open notebook. */
  insertOutput(task: RemoteTask): (() => void) | undefined
  connect(): void
  settings(): void
  retry(): void
}

export interface TasksPanelComponents {
  tasks: Tasks
  connection: Connection
  actions: TasksPanelActions
  now: () => number
  clock: (ms: number) => string
}

/** Made once: making one takes the browser a millisecond. */
const DAY = new Intl.DateTimeFormat([], { weekday: 'long', day: 'numeric', month: 'long' })

/** The side panel "Remote tasks". */
export class TasksPanel extends ReactWidget {
  readonly #shown = new Signal<this, void>(this)

  constructor(private readonly components: TasksPanelComponents) {
    super()
    this.addClass('pk-Panel')
    this.node.setAttribute('role', 'region')
    this.node.setAttribute('aria-label', 'Remote tasks')
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message)
    this.#shown.emit()
  }

  protected override render(): React.ReactElement {
    return <PanelBody {...this.components} visible={() => this.isVisible} shown={this.#shown} />
  }
}

const Icon = ({ name, tone = 'plain' }: { name: IconName; tone?: TaskRow['tone'] }): React.ReactElement => {
  const Drawing = labIcon(name)
  return (
    <Drawing.react tag="span" className={`pk-Icon pk-mod-${tone}${name === 'spinner' ? ' pk-mod-spinning' : ''}`} />
  )
}

/** A panel behind another one or in a closed side bar draws nothing; it catches up when it is shown. */
interface Visibility {
  visible: () => boolean
  shown: ISignal<unknown, void>
}

/** Draws again when tasks, money or connection change, and each second while something runs. */
function useChanges({ tasks, connection, visible, shown }: TasksPanelComponents & Visibility): void {
  const [, draw] = useReducer((count: number) => count + 1, 0)
  useEffect(() => {
    let pending: number | undefined
    // Output comes in many small pieces; the panel needs a few drawings a second.
    const soon = (): void => {
      pending ??= window.setTimeout(() => {
        pending = undefined
        if (visible()) draw()
      }, 100)
    }
    tasks.changed.connect(soon)
    connection.changed.connect(soon)
    connection.accountChanged.connect(soon)
    shown.connect(draw)
    const timer = setInterval(() => {
      if (visible() && tasks.running.length > 0) draw()
    }, 1000)
    return () => {
      tasks.changed.disconnect(soon)
      connection.changed.disconnect(soon)
      connection.accountChanged.disconnect(soon)
      shown.disconnect(draw)
      clearInterval(timer)
      window.clearTimeout(pending)
    }
  }, [])
}

function PanelBody(components: TasksPanelComponents & Visibility): React.ReactElement {
  const { tasks, connection, actions, now, clock } = components
  useChanges(components)
  const [filter, setFilter] = useState('')
  const [open, setOpen] = useState<string | null>(null)
  const [asking, setAsking] = useState<string | null>(null)
  const list = useRef<HTMLDivElement>(null)
  const offline = connection.state.status === 'off' || connection.state.status === 'unpaired'
  const groups = groupTasks(
    tasks.all.map(({ snapshot }) => snapshot),
    { now: now(), offline, filter, day: ms => DAY.format(ms) }
  )
  const selected = open === null ? undefined : tasks.get(open)
  const rows = groups.flatMap(group => group.rows.map(({ id }) => id))
  const onKey = (event: React.KeyboardEvent, id: string): void => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    if (step !== 0) {
      event.preventDefault()
      const next = rows[rows.indexOf(id) + step]
      if (next !== undefined) list.current?.querySelector<HTMLElement>(`[data-task="${next}"]`)?.focus()
    } else if (event.key === 'Delete') {
      const task = tasks.get(id)
      if (task && !task.over) {
        setOpen(id)
        setAsking(id)
      }
    }
  }
  return (
    <>
      <div className="pk-Panel-header">
        <h2>Remote tasks</h2>
        <button className="pk-IconButton" title="Settings" aria-label="Settings of PEKKA" onClick={actions.settings}>
          <Icon name="gear" />
        </button>
      </div>
      {connection.state.status === 'off' && <Lost {...components} />}
      {connection.state.status === 'unpaired' && <Unpaired {...components} />}
      <div className="pk-Panel-filter">
        <Icon name="search" />
        <input
          type="search"
          className="pk-Input"
          placeholder="Filter tasks"
          aria-label="Filter tasks by name, machine or state"
          value={filter}
          onChange={event => setFilter(event.target.value)}
        />
      </div>
      <div className="pk-Panel-list" ref={list}>
        {groups.map(({ title, rows: members }) => (
          <section key={title} aria-label={title}>
            <h3>
              {title} <span className="pk-Quiet">{members.length}</span>
            </h3>
            <ul>
              {members.map(row => (
                <li key={row.id}>
                  <button
                    className="pk-Row"
                    data-task={row.id}
                    aria-expanded={open === row.id}
                    onClick={() => setOpen(open === row.id ? null : row.id)}
                    onKeyDown={event => onKey(event, row.id)}
                  >
                    <Icon name={row.icon} tone={row.tone} />
                    <span className="pk-Row-title">{row.title}</span>
                    <span className="pk-Row-figure">{row.figure}</span>
                    <span className="pk-Row-state">{row.state}</span>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        ))}
        {groups.length === 0 && (
          <Empty filter={filter} loaded={tasks.loaded} offline={offline} clear={() => setFilter('')} />
        )}
        {tasks.hasMore && filter === '' && (
          <button className="pk-Button pk-Panel-more" onClick={() => void tasks.more()}>
            Show older tasks
          </button>
        )}
      </div>
      {selected && (
        <Detail
          task={selected}
          components={components}
          asking={asking === selected.id}
          ask={wanted => setAsking(wanted ? selected.id : null)}
          close={() => {
            setOpen(null)
            setAsking(null)
            list.current?.querySelector<HTMLElement>(`[data-task="${selected.id}"]`)?.focus()
          }}
        />
      )}
      <Foot {...components} clock={clock} />
    </>
  )
}

function Lost({ connection, actions, clock }: TasksPanelComponents): React.ReactElement | null {
  const { state } = connection
  if (state.status !== 'off') return null
  return (
    <div className="pk-Panel-banner" role="status">
      <Icon name="offline" tone="warn" />
      <div>
        <strong>No connection since {clock(state.since)}</strong>
        <p>{state.reason} Tasks go on without you. Outputs catch up by themselves.</p>
        <button className="pk-Button" onClick={actions.retry}>
          Try now
        </button>
      </div>
    </div>
  )
}

function Unpaired({ connection, actions }: TasksPanelComponents): React.ReactElement | null {
  const { state } = connection
  if (state.status !== 'unpaired') return null
  return (
    <div className="pk-Panel-banner" role="status">
      <Icon name="offline" tone="warn" />
      <div>
        <strong>Not connected</strong>
        <p>{state.reason}</p>
        <button className="pk-Button" onClick={actions.connect}>
          How to connect
        </button>
      </div>
    </div>
  )
}

function Empty(props: { filter: string; loaded: boolean; offline: boolean; clear: () => void }): React.ReactElement {
  if (props.filter !== '')
    return (
      <p className="pk-Panel-empty">
        No task matches ‘{props.filter}’.{' '}
        <button className="pk-Link" onClick={props.clear}>
          Clear
        </button>
      </p>
    )
  if (!props.loaded)
    return (
      <p className="pk-Panel-empty">
        {props.offline ? 'Tasks are shown once there is a connection.' : 'Looking for tasks…'}
      </p>
    )
  return <p className="pk-Panel-empty">No remote tasks yet. Select a cell and press Run remotely.</p>
}

function Detail(props: {
  task: RemoteTask
  components: TasksPanelComponents
  asking: boolean
  ask: (wanted: boolean) => void
  close: () => void
}): React.ReactElement {
  const { task, components, asking, ask, close } = props
  const { now, actions } = components
  const { snapshot } = task
  const cost = costOf(snapshot, now())
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
        {cost.known ? `${billCredits(cost.amount)} credits` : `About ${guessCredits(cost.amount)} credits`}
        {snapshot.cap > 0n && ` of at most ${credits(snapshot.cap)}`}
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

/** Whose word it is that it was paid so. */
function paidStep(proof: 'proven' | 'refuted' | undefined) {
  const step = { at: null, icon: 'done', tone: 'plain' } as const
  if (proof === 'refuted')
    return { ...step, text: 'The ledger says something else', icon: 'error', tone: 'bad' } as const
  return { ...step, text: proof === 'proven' ? 'Settled' : 'Paid, as the bridge says' }
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
  if (snapshot.phase.phase === 'settled') steps.push(paidStep(snapshot.phase.proof))
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

function Foot({ connection, actions, clock }: TasksPanelComponents): React.ReactElement {
  const { account, state, grant } = connection
  const words = connectionWords(state, clock)
  const money = account === null ? null : balanceWords(account.view)
  return (
    <div className="pk-Panel-foot">
      {money && (
        <p
          title={
            grant === null
              ? ''
              : `This browser’s key can spend ${credits(grant.cap)} credits in all, until ${new Date(grant.expiry).toLocaleString()}`
          }
        >
          <Icon name="wallet" />
          <span>{money.free}</span> <span className="pk-Quiet">{money.held}</span>
        </p>
      )}
      <p className="pk-Small">
        <Icon name={words.icon} tone={words.tone} />
        <span>{state.status === 'off' && account !== null ? `Balance as of ${clock(account.at)}` : words.text}</span>
        {words.help !== null && (
          <button className="pk-Link" onClick={state.status === 'off' ? actions.retry : actions.connect}>
            {words.help}
          </button>
        )}
      </p>
    </div>
  )
}
