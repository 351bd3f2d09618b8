import React, { useEffect, useRef, useState } from 'react'
import { ReactWidget } from '@jupyterlab/ui-components'
import { Widget } from '@lumino/widgets'
import { asPekkaError, type PekkaError, type SessionTerms } from '@pekka/node/protocol'
import { credits, duration, type Quote, type whyNot } from '@pekka/node/client'
import type { ImageChoice, MissingPackage } from '@pekka/node/scan'
import { labIcon } from '../line/index.js'
import {
  WAIT_MS,
  type AddressRow,
  type EnvironmentOptions,
  type EnvironmentQuestion,
  type QuoteDecision,
  type TravelChoice,
  type RunSettings
} from '../run/index.js'
import { lackSentences } from '../scan/index.js'
import { AddressList } from './address-list.js'
import { EnvironmentRow, PackageQuestions } from './environment-row.js'
import { summary, tooMuch } from '../values/index.js'
import { TravelSheet } from './travel-sheet.js'
import { capWords, keepView, noPrice, quoteView, readCap } from './view.js'
import { WhyRows } from './why-rows.js'

/** A price is asked for again this often while it is looked at, ms: machines come and go. */
const REFRESH_MS = 60_000

export interface QuoteQuestion {
  /** `Run this cell remotely`. */
  title: string
  settings: RunSettings
  /** What is worth knowing before. */
  notes: readonly string[]
  environment: EnvironmentQuestion
  travel: TravelChoice
  addresses: readonly AddressRow[]
  runs: 1 | 2
  /** The machine is to be kept for later cells. */
  keep?: SessionTerms
  /** It goes to a machine that is kept already. */
  on?: { provider: string; price: bigint }
  images: () => Promise<string[]>
  price: (settings: RunSettings) => Promise<Quote>
  why: (settings: RunSettings) => Promise<ReturnType<typeof whyNot>>
}

type Price = { state: 'asking' } | { state: 'known'; quote: Quote } | { state: 'none'; error: PekkaError }

interface QuoteFormProps extends QuoteQuestion {
  answer: (answer: QuoteDecision | undefined) => void
}

const RemoteIcon = labIcon('remote')
const EyeIcon = labIcon('eye')
const WarningIcon = labIcon('warning')
const CloseIcon = labIcon('close')

function QuoteForm(props: QuoteFormProps): React.ReactElement {
  const { title, settings, notes, environment, travel, addresses, runs, keep, on, images, price, why, answer } = props
  const [found, setFound] = useState<Price>({ state: 'asking' })
  const [capText, setCapText] = useState(credits(settings.cap))
  const [changed, setChanged] = useState<Partial<RunSettings>>({})
  const [choice, setChoice] = useState(environment.choice)
  const [options, setOptions] = useState<EnvironmentOptions>(environment.options)
  const [offered, setOffered] = useState<string[]>([])
  const [reasons, setReasons] = useState<ReturnType<typeof whyNot> | null>(null)
  const [silent, setSilent] = useState(true)
  const [ticks, setTicks] = useState(travel.chosen)
  const [sheet, setSheet] = useState(false)
  const goes = summary(travel.plan, ticks)
  const excess = tooMuch(travel.plan, ticks)
  const run = useRef<HTMLButtonElement>(null)
  const form = useRef<HTMLFormElement>(null)
  const cap = readCap(capText)
  const wanted = { ...settings, ...changed, image: choice.image }
  const chosen = { ...wanted, cap: cap ?? settings.cap }

  useEffect(() => {
    let live = true
    const ask = (): void => {
      price(wanted).then(
        quote => live && setFound({ state: 'known', quote }),
        (error: unknown) => {
          if (!live) return
          setFound({ state: 'none', error: asPekkaError(error) })
          void showWhy()
        }
      )
    }
    const showWhy = async (): Promise<void> => {
      const rows = await why(wanted).catch(() => null)
      if (live) setReasons(rows)
    }
    setReasons(null)
    // The price of a kept machine was agreed to.
    if (on !== undefined) return
    ask()
    const timer = setInterval(ask, REFRESH_MS)
    return () => {
      live = false
      clearInterval(timer)
    }
  }, [choice.image, wanted.memoryBytes])
  useEffect(() => {
    images().then(setOffered, () => undefined)
  }, [])
  const decide = (next: EnvironmentOptions): void => {
    setOptions(next)
    environment
      .choose(next)
      .then(setChoice, (error: unknown) => setFound({ state: 'none', error: asPekkaError(error) }))
  }
  const open = on === undefined && choice.questions.length > 0
  const ready = (found.state === 'known' || on !== undefined) && cap !== null && !open && excess === null
  const waits = found.state === 'none' && keep === undefined && WAITABLE.has(found.error.code) && cap !== null && !open
  useEffect(() => {
    if (ready && document.activeElement?.closest('.pk-Quote') !== null) run.current?.focus()
  }, [found.state])
  useEffect(() => {
    const host = form.current?.closest<HTMLElement>('.pk-Quote')
    if (!host) return
    // Prices, reasons and lists come while it is looked at.
    const watch = new ResizeObserver(() => keepInside(host))
    watch.observe(host)
    return () => watch.disconnect()
  }, [])
  const said = [...notes, ...choice.notes, ...lackSentences({ ...choice, missing: choice.missing.filter(soft) })]

  const send = (wait: boolean): void =>
    answer({
      settings: chosen,
      dontAskUnder: silent ? chosen.cap : undefined,
      environment: options,
      choice,
      chosen: ticks,
      wait
    })
  const submit = (event: React.FormEvent): void => {
    event.preventDefault()
    if (ready) send(false)
  }
  return (
    <form ref={form} className="pk-Quote-form" onSubmit={submit} aria-labelledby="pk-Quote-title">
      <div className="pk-Quote-header">
        <h2 id="pk-Quote-title">{title}</h2>
        <button type="button" className="pk-IconButton" aria-label="Close" onClick={() => answer(undefined)}>
          <CloseIcon.react tag="span" />
        </button>
      </div>
      {on === undefined ? (
        <Price found={found} settings={chosen} choice={choice} runs={runs} keep={keep} />
      ) : (
        <div className="pk-Quote-price">
          <strong>{credits(on.price)} credits a second</strong>{' '}
          <span className="pk-Quiet">on {on.provider}, which is kept for this notebook</span>
        </div>
      )}
      {found.state === 'none' && reasons !== null && (
        <WhyRows found={reasons} settings={chosen} change={part => setChanged({ ...changed, ...part })} />
      )}
      <dl className="pk-Facts">
        {on === undefined && <dt>Environment</dt>}
        {on === undefined && <EnvironmentRow choice={choice} options={options} offered={offered} decide={decide} />}
        {found.state === 'known' && (
          <>
            <dt>Machines</dt>
            <dd>
              {quoteView(found.quote, chosen).machines}
              {found.quote.misfit.length > 0 && (
                <>
                  {' · '}
                  <button
                    type="button"
                    className="pk-TextLink"
                    aria-expanded={reasons !== null}
                    onClick={() =>
                      reasons === null ? void why(wanted).then(setReasons, () => undefined) : setReasons(null)
                    }
                  >
                    {found.quote.misfit.length} {found.quote.misfit.length === 1 ? 'doesn’t' : 'don’t'}: see why
                  </button>
                  {reasons !== null && (
                    <WhyRows found={reasons} settings={chosen} change={part => setChanged({ ...changed, ...part })} />
                  )}
                </>
              )}
            </dd>
          </>
        )}
        {on === undefined && (
          <dt>
            <label htmlFor="pk-Quote-cap">Spend at most</label>
          </dt>
        )}
        {on === undefined && (
          <dd>
            <input
              id="pk-Quote-cap"
              className="pk-Input pk-Quote-cap"
              inputMode="decimal"
              value={capText}
              aria-invalid={cap === null}
              onChange={event => setCapText(event.target.value)}
            />{' '}
            credits{' '}
            <span className="pk-Quiet">{cap === null ? 'write a number, for example 0.5' : capWords(runs)}</span>
          </dd>
        )}
        {goes !== null && (
          <>
            <dt>What travels</dt>
            <dd>
              <button
                type="button"
                className="pk-TextLink pk-Travel-open"
                aria-expanded={sheet}
                onClick={() => setSheet(!sheet)}
              >
                {goes}
              </button>
              {excess !== null && <p role="alert">{excess}</p>}
            </dd>
          </>
        )}
      </dl>
      {sheet && <TravelSheet plan={travel.plan} ticks={ticks} change={setTicks} close={() => setSheet(false)} />}
      <AddressList rows={addresses} ticks={ticks} change={setTicks} />
      {on === undefined && <PackageQuestions choice={choice} options={options} decide={decide} />}
      {said.length > 0 && (
        <div className="pk-Quote-notes">
          <WarningIcon.react tag="span" className="pk-Icon pk-Warn" />
          <div>
            {said.map(note => (
              <p key={note}>{note}</p>
            ))}
          </div>
        </div>
      )}
      {waits && (
        <p className="pk-Quote-reader pk-Quiet">
          Waiting is free and ends after {duration(WAIT_MS)}, or when this page is closed.
        </p>
      )}
      <p className="pk-Quote-reader">
        <EyeIcon.react tag="span" className="pk-Icon" />
        The provider can read your code and data while it runs.
      </p>
      <div className="pk-Quote-footer">
        {keep === undefined && on === undefined && (
          <label className="pk-Check">
            <input
              type="checkbox"
              checked={silent}
              disabled={runs === 2}
              onChange={event => setSilent(event.target.checked)}
            />
            Don’t ask for runs up to {credits(chosen.cap)}
          </label>
        )}
        <button type="button" className="pk-Button" onClick={() => answer(undefined)}>
          Cancel
        </button>
        {waits ? (
          <button type="button" className="pk-Button pk-mod-go pk-Quote-wait" onClick={() => send(true)}>
            Wait for one
          </button>
        ) : (
          <button type="submit" ref={run} className="pk-Button pk-mod-go" disabled={!ready}>
            <RemoteIcon.react tag="span" className="pk-Icon" />
            {keep === undefined ? 'Run' : 'Keep a machine'}
          </button>
        )}
      </div>
    </form>
  )
}

/** Moves a popover that has grown up, so that its buttons stay in the window. */
function keepInside(host: HTMLElement): void {
  const { top, height } = host.getBoundingClientRect()
  if (top + height > innerHeight - GAP) host.style.top = `${Math.max(GAP, innerHeight - GAP - height)}px`
}

/** Without a machine now there may be one later. */
const WAITABLE = new Set(['NO_MATCH', 'IMAGE_UNKNOWN'])

/** What is said and not asked. */
const soft = ({ optional, have }: MissingPackage): boolean => optional || have !== null

function Price({
  found,
  settings,
  choice,
  runs,
  keep
}: {
  found: Price
  settings: RunSettings
  choice: ImageChoice
  runs: 1 | 2
  keep: SessionTerms | undefined
}): React.ReactElement {
  if (found.state === 'asking') return <p className="pk-Quote-price pk-Quiet">Getting a price…</p>
  if (found.state === 'none') {
    const { title, advice, command } = noPrice(found.error, choice)
    return (
      <div className="pk-Quote-price" role="alert">
        <strong>{title}</strong>
        <p className="pk-Quiet">
          {advice} {command !== null && <code>{command}</code>}
        </p>
      </div>
    )
  }
  const view = keep === undefined ? quoteView(found.quote, settings, runs) : keepView(found.quote, settings, keep)
  return (
    <div className="pk-Quote-price">
      <strong>{view.price}</strong> <span className="pk-Quiet">{view.minute}</span>
      <p className="pk-Quiet">{view.until}</p>
    </div>
  )
}

/**
 * Asks beside a cell. Enter runs, Esc and a click elsewhere leave it; the focus goes back to where it was.
 *
 * @param anchor the cell's node; without one the popover stands in the middle
 */
export function askQuote(question: QuoteQuestion, anchor: HTMLElement | undefined): Promise<QuoteDecision | undefined> {
  return new Promise(resolve => {
    const opener = document.activeElement
    const widget = ReactWidget.create(
      <QuoteForm
        {...question}
        answer={result => {
          close()
          resolve(result)
        }}
      />
    )
    const leave = (): void => {
      close()
      resolve(undefined)
    }
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === 'Tab') keepFocus(event, widget.node)
      // Lab's shortcuts are not for what is typed here.
      event.stopPropagation()
    }
    // Wherever the focus is: Lab gives it to a notebook late, and Esc would leave the cell and not this.
    const onEscape = (event: KeyboardEvent): void => {
      if (event.key !== 'Escape' || document.querySelector('.jp-Dialog') !== null) return
      event.stopPropagation()
      leave()
    }
    const onFocus = (event: FocusEvent): void => {
      if (!(event.target instanceof Element) || event.target.closest('.jp-Notebook') === null) return
      const run = host.querySelector<HTMLElement>('button[type=submit]:enabled')
      ;(run ?? host).focus()
    }
    const onPointer = (event: PointerEvent): void => {
      if (event.target instanceof Node && !widget.node.contains(event.target)) leave()
    }
    const close = (): void => {
      document.removeEventListener('keydown', onEscape, true)
      document.removeEventListener('focusin', onFocus)
      document.removeEventListener('pointerdown', onPointer, true)
      widget.dispose()
      host.remove()
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus()
    }
    const host = document.createElement('div')
    host.className = 'pk-Quote'
    host.setAttribute('role', 'dialog')
    host.setAttribute('aria-label', question.title)
    host.tabIndex = -1
    document.body.append(host)
    Widget.attach(widget, host)
    host.addEventListener('keydown', onKey)
    document.addEventListener('keydown', onEscape, true)
    document.addEventListener('focusin', onFocus)
    document.addEventListener('pointerdown', onPointer, true)
    place(host, anchor)
    host.focus()
  })
}

/** Tab goes round inside. */
function keepFocus(event: KeyboardEvent, node: HTMLElement): void {
  const stops = [...node.querySelectorAll<HTMLElement>('button:not(:disabled), input, select')]
  const first = stops.at(0)
  const last = stops.at(-1)
  const leaving = event.shiftKey ? first : last
  if (document.activeElement !== leaving) return
  event.preventDefault()
  ;(event.shiftKey ? last : first)?.focus()
}

/** Distance to the cell and to the window's edges, px. */
const GAP = 8

/** Below the cell's upper right corner where its toolbar is, inside the window. */
function place(host: HTMLElement, anchor: HTMLElement | undefined): void {
  const { width, height } = host.getBoundingClientRect()
  const box = anchor?.getBoundingClientRect()
  const right = box?.right ?? (innerWidth + width) / 2
  const top = box === undefined ? (innerHeight - height) / 2 : Math.max(box.top, 0) + 4 * GAP
  host.style.left = `${Math.max(GAP, Math.min(right - width - GAP, innerWidth - width - GAP))}px`
  host.style.top = `${Math.max(GAP, Math.min(top, innerHeight - height - GAP))}px`
}
