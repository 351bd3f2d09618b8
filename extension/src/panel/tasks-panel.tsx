import React, { useEffect, useReducer, useRef, useState } from 'react'
import { ReactWidget } from '@jupyterlab/ui-components'
import type { Message } from '@lumino/messaging'
import { Signal, type ISignal } from '@lumino/signaling'
import type { TasksPanelComponents } from './components.js'
import { Foot, Lost, Unpaired } from './connection.js'
import { Icon } from './icon.js'
import { TaskDetail } from './task-detail.js'
import { groupTasks } from './view.js'

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
        <TaskDetail
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
