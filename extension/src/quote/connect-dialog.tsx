import React from 'react'
import { Dialog, ReactWidget } from '@jupyterlab/apputils'
import type { ConnectionState } from '../connection/index.js'

/** The form's fields, read when the dialog closes. */
class ConnectForm extends ReactWidget {
  wallet: string
  code = ''

  constructor(
    wallet: string,
    private readonly reason: string
  ) {
    super()
    this.wallet = wallet
  }

  getValue(): { wallet: string; code: string } {
    return { wallet: this.wallet.trim(), code: this.code.trim() }
  }

  protected override render(): React.ReactElement {
    return (
      <div className="pk-Connect">
        <p>{this.reason}</p>
        <ol>
          <li>
            On the computer where Jupyter runs, type <code>pekka pair</code>
          </li>
          <li>Paste the code here within a minute</li>
        </ol>
        <label>
          Code
          {/* Lab gives the dialog its focus before this is drawn, and finds no field yet. */}
          <input
            className="pk-Input"
            autoFocus
            autoComplete="off"
            spellCheck={false}
            onChange={event => (this.code = event.target.value)}
          />
        </label>
        <label>
          Wallet
          <input
            className="pk-Input"
            defaultValue={this.wallet}
            placeholder="http://127.0.0.1:7421"
            onChange={event => (this.wallet = event.target.value)}
          />
        </label>
        <p className="pk-Quiet">
          The code gives this browser a key that may spend a few credits until tomorrow. It can’t be copied out of the
          browser.
        </p>
      </div>
    )
  }
}

/** Why there is no connection, in a sentence. */
export function reasonOf(state: ConnectionState): string {
  switch (state.status) {
    case 'connected':
      return 'This browser is connected. A new code renews its key.'
    case 'connecting':
      return 'Looking for a bridge…'
    case 'off':
    case 'unpaired':
      return state.reason
  }
}

/** How to connect: asks for a pairing code. Resolves with undefined where the user left it. */
export async function askCode(
  wallet: string,
  state: ConnectionState
): Promise<{ wallet: string; code: string } | undefined> {
  const result = await new Dialog<{ wallet: string; code: string }>({
    title: 'Connect to PEKKA',
    body: new ConnectForm(wallet, reasonOf(state)),
    focusNodeSelector: 'input',
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: 'Connect' })]
  }).launch()
  return result.button.accept && result.value !== null && result.value.code !== '' ? result.value : undefined
}
