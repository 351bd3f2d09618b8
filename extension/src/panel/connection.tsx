import React from 'react'
import { credits } from '@pekka/node/client'
import type { TasksPanelComponents } from './components.js'
import { Icon } from './icon.js'
import { balanceWords, connectionWords } from './view.js'

/** What a banner over the list says, and what it offers. */
interface BannerProps {
  title: string
  text: string
  offer: string
  onOffer: () => void
}

const Banner = ({ title, text, offer, onOffer }: BannerProps): React.ReactElement => (
  <div className="pk-Panel-banner" role="status">
    <Icon name="offline" tone="warn" />
    <div>
      <strong>{title}</strong>
      <p>{text}</p>
      <button className="pk-Button" onClick={onOffer}>
        {offer}
      </button>
    </div>
  </div>
)

/** Over the list, where there is no connection: since when and why, and what becomes of the tasks. */
export function Lost({ connection, actions, clock }: TasksPanelComponents): React.ReactElement | null {
  const { state } = connection
  if (state.status !== 'off') return null
  return (
    <Banner
      title={`No connection since ${clock(state.since)}`}
      text={`${state.reason} Tasks go on without you. Outputs catch up by themselves.`}
      offer="Try now"
      onOffer={actions.retry}
    />
  )
}

/** The same where this browser has no key yet. */
export function Unpaired({ connection, actions }: TasksPanelComponents): React.ReactElement | null {
  const { state } = connection
  if (state.status !== 'unpaired') return null
  return <Banner title="Not connected" text={state.reason} offer="How to connect" onOffer={actions.connect} />
}

/** Under the list: money and connection. */
export function Foot({ connection, actions, clock }: TasksPanelComponents): React.ReactElement {
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
