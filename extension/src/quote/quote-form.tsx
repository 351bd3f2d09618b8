import React, { useEffect, useRef, useState } from 'react'
import { asPekkaError } from '@pekka/node/protocol'
import { credits, duration, type whyNot } from '@pekka/node/client'
import { isAdded, type MissingPackage } from '@pekka/node/scan'
import { labIcon } from '../line/index.js'
import {
  WAIT_MS,
  type EnvironmentOptions,
  type QuoteDecision,
  type QuoteQuestion,
  type RunSettings
} from '../run/index.js'
import { lackSentences } from '../scan/index.js'
import { summary, tooMuch } from '../values/index.js'
import { AddressList } from './address-list.js'
import { EnvironmentRow, PackageQuestions } from './environment-row.js'
import { Price, type PriceState } from './price.js'
import { TravelSheet } from './travel-sheet.js'
import { capWords, quoteView, readCap } from './view.js'
import { WhyRows } from './why-rows.js'

/** A price is asked for again this often while it is looked at, ms: machines come and go. */
const REFRESH_MS = 60_000

/** Without a machine now there may be one later. */
const WAITABLE = new Set(['NO_MATCH', 'IMAGE_UNKNOWN'])

/** What is said and not asked. */
const soft = (one: MissingPackage): boolean => !isAdded(one)

const RemoteIcon = labIcon('remote')
const EyeIcon = labIcon('eye')
const WarningIcon = labIcon('warning')
const CloseIcon = labIcon('close')

interface QuoteFormProps extends QuoteQuestion {
  /** `Run this cell remotely`. */
  title: string
  images: () => Promise<string[]>
  answer: (answer: QuoteDecision | undefined) => void
}

/** The quote with its cap, what travels and the environment; each of them can be changed. */
export function QuoteForm(props: QuoteFormProps): React.ReactElement {
  const { title, settings, notes, environment, travel, addresses, runs, keep, on, images, price, why, answer } = props
  const [found, setFound] = useState<PriceState>({ state: 'asking' })
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
    <form className="pk-Quote-form" onSubmit={submit} aria-labelledby="pk-Quote-title">
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
            <span className="pk-Quiet">{cap === null ? 'write a number, for example 0.50' : capWords(runs)}</span>
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
