/** One page of JupyterLab with one notebook, driven as a user does. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BrowserContext, ElementHandle, Page } from 'playwright-core'
import type { Network } from './network.js'

export interface SavedCell {
  id: string
  cell_type: string
  source: string | string[]
  metadata: { pekka?: { task: string; state: string }; 'pekka-environment'?: string; trusted?: boolean }
  outputs: { output_type: string; name?: string; text?: string | string[]; data?: Record<string, unknown> }[]
  execution_count: number | null
}

/** How long a state may take on a busy machine, ms. No test asserts a time; this only ends one that hangs. */
const PATIENCE_MS = 60_000

/** Words of the page's errors that are not ours: JupyterLab's own, those of a killed bridge, and what a figure's frame may not load. */
const FOREIGN = [
  /violates the following Content Security Policy/,
  /Failed to load resource/,
  /WebSocket connection to/,
  /ResizeObserver loop/,
  /favicon/
]

/** What a line says while it isn't known yet whether the run is asked about. */
const UNDECIDED = ['preparing', 'asking']

/** In the page: counts the lines that left such a state, to a task or to a reason why there is none. */
function countDecisions(undecided: string[]): void {
  const known = new Set(undecided)
  Object.assign(globalThis, { pkDecisions: 0 })
  new MutationObserver(changes => {
    for (const { target, oldValue } of changes)
      if (known.has(oldValue ?? '') && !known.has((target as HTMLElement).dataset['state'] ?? '')) pkDecisions++
  }).observe(document, { subtree: true, attributes: true, attributeFilter: ['data-state'], attributeOldValue: true })
}
declare let pkDecisions: number

let serial = 0

/** Writes a notebook into Lab's root. Every cell is code, but those that begin with `# markdown`. */
export async function writeNotebook(
  network: Network,
  name: string,
  sources: string[],
  kernel = 'python3'
): Promise<void> {
  const cells = sources.map((source, index) =>
    source.startsWith('# markdown')
      ? { cell_type: 'markdown', id: `c${index}`, metadata: {}, source: source.slice(11) }
      : { cell_type: 'code', id: `c${index}`, metadata: {}, source, outputs: [], execution_count: null }
  )
  const metadata = {
    kernelspec: { name: kernel, display_name: 'Python 3 (ipykernel)', language: 'python' },
    language_info: { name: 'python' }
  }
  await writeFile(
    join(network.work, name),
    JSON.stringify({ cells, metadata, nbformat: 4, nbformat_minor: 5 }, null, 1)
  )
}

export class LabPage {
  readonly errors: string[] = []
  /** Decisions before what is agreed to now. */
  #decisions = 0

  private constructor(
    readonly network: Network,
    readonly context: BrowserContext,
    readonly page: Page,
    readonly name: string
  ) {}

  /** A fresh browser profile with a fresh notebook; `onlyLab`: its browser reaches nothing but Lab's own origin. */
  static async open(
    network: Network,
    sources: string[],
    options: { theme?: 'dark'; kernel?: string; onlyLab?: boolean } = {}
  ): Promise<LabPage> {
    const name = `test ${++serial}.ipynb`
    await writeNotebook(network, name, sources, options.kernel)
    const context = await profile(network)
    if (options.onlyLab === true) {
      const elsewhere = (url: URL): boolean => url.origin !== network.origin
      await context.route(elsewhere, route => route.abort('connectionrefused'))
    }
    const lab = await LabPage.in(network, context, name)
    if (options.theme === 'dark') await lab.darken()
    return lab
  }

  /** Another page of the same profile, with the same notebook. */
  async again(): Promise<LabPage> {
    return await LabPage.in(this.network, this.context, this.name)
  }

  /** A page of another browser profile, with the same notebook. */
  async beside(): Promise<LabPage> {
    return await LabPage.in(this.network, await profile(this.network), this.name)
  }

  private static async in(network: Network, context: BrowserContext, name: string): Promise<LabPage> {
    const page = await context.newPage()
    const lab = new LabPage(network, context, page, name)
    page.on('pageerror', error => lab.errors.push(`${error.message}\n${error.stack ?? ''}`))
    page.on('console', message => {
      if (message.type() === 'error' && !FOREIGN.some(foreign => foreign.test(message.text())))
        lab.errors.push(message.text())
    })
    // Lab's own words about a lost connection, in the way of every click.
    const lost = /Server Connection Error|Error Starting Kernel\s*Failed to fetch/
    await page.addLocatorHandler(
      page.locator('.jp-Dialog', { hasText: lost }).first(),
      dialog => dialog.locator('.jp-Dialog-button').last().click(),
      // one may stand behind the other
      { noWaitAfter: true }
    )
    // Leaving a page with unsaved changes asks; a test that refuses would hang.
    page.on('dialog', dialog => void dialog.accept())
    const workspace = `e2e-${++serial}`
    const path = encodeURIComponent(name)
    await page.goto(`${network.origin}/lab/workspaces/${workspace}/tree/${path}?token=${network.token}`)
    await lab.ready()
    return lab
  }

  async ready(): Promise<void> {
    this.#decisions = 0
    await this.page.waitForSelector('.jp-Notebook .jp-Cell', { timeout: PATIENCE_MS })
    await this.page.waitForFunction(
      () => document.querySelector('.pk-Status')?.textContent?.startsWith('PEKKA: ') === false,
      null,
      {
        timeout: PATIENCE_MS
      }
    )
    // Lab first makes a checkpoint and then starts the kernel: cut off before, it gives up. Its start changes the notebook's
    // metadata; a run meanwhile is fine, but pictures should not differ by it. The indicator is idle also without a kernel.
    await this.page.waitForSelector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', { timeout: PATIENCE_MS })
    await this.page.locator('#jp-main-statusbar', { hasText: '| Idle' }).waitFor({ timeout: PATIENCE_MS })
  }

  async close(): Promise<void> {
    assert.deepEqual(this.errors, [], 'the page logged errors')
    await this.context.close()
  }

  cell(index: number) {
    return this.page.locator('.jp-Notebook .jp-Cell').nth(index)
  }

  async select(index: number): Promise<void> {
    await this.cell(index).locator('.jp-InputPrompt').click()
  }

  /** Runs by the shortcut, and agrees where the first run on a bridge asks. */
  async run(index: number): Promise<void> {
    await this.select(index)
    await this.press('Control+Shift+Enter')
  }

  /** A command by the palette's id, as menus and toolbars call it. */
  async press(keys: string): Promise<void> {
    await this.#mark()
    await this.page.keyboard.press(keys)
    await this.agree()
  }

  async #mark(): Promise<void> {
    this.#decisions = await this.page.evaluate(() => pkDecisions)
  }

  /** Presses Run in the quote where there is one: until it is known, nothing but the lines tells whether one will come. */
  async agree(): Promise<void> {
    const run = this.page.locator('.pk-Quote button[type=submit]:enabled')
    const patience = { timeout: PATIENCE_MS }
    const asked = await Promise.race([
      run.waitFor(patience).then(() => true),
      this.page.waitForFunction(before => pkDecisions > before, this.#decisions, patience).then(() => false)
    ])
    if (asked) await run.click()
  }

  /** Waits for the line of a cell to say something, and for the whole line to read like `whole`; returns it. */
  async line(index: number, words: string | RegExp, whole = /^/): Promise<string> {
    const line = this.cell(index).locator('.pk-Line')
    const word = line.locator('.pk-Line-word').filter({ hasText: words })
    try {
      // A cell out of sight is not drawn.
      await word.waitFor({ timeout: PATIENCE_MS, state: 'attached' })
    } catch {
      assert.fail(
        `the line says ${JSON.stringify(await line.allTextContents())}, not ${String(words)}; ${this.errors.join('\n')}`
      )
    }
    await line.scrollIntoViewIfNeeded()
    return await this.#reads(async () => (await line.innerText()).replace(/\s+/g, ' '), whole)
  }

  async done(index: number, whole?: RegExp): Promise<string> {
    return await this.line(index, 'Done, not re-run', whole)
  }

  /** Waits until what is read is as wished: Lab draws late on a busy machine. */
  async #reads(read: () => Promise<string>, wished: RegExp): Promise<string> {
    const deadline = Date.now() + PATIENCE_MS
    for (;;) {
      const text = await read()
      if (wished.test(text)) return text
      if (Date.now() > deadline) assert.match(text, wished)
      await this.page.waitForTimeout(50)
    }
  }

  /** Keeps a machine for the notebook, and agrees to its price. */
  async keep(): Promise<void> {
    await this.palette('Keep a Machine for This Notebook')
    await this.page.locator('.pk-Quote button[type=submit]:enabled', { hasText: 'Keep a machine' }).click()
    await this.machine(/is kept for this notebook/)
  }

  /** Waits for the notebook's line about its machine to say something, and to read like `whole`; returns it. */
  async machine(words: RegExp, whole = /^/): Promise<string> {
    const line = this.page.locator('.pk-Machine')
    try {
      await line.locator('.pk-Line-word').filter({ hasText: words }).waitFor({ timeout: PATIENCE_MS })
    } catch {
      assert.fail(`the machine's line says ${JSON.stringify(await line.allTextContents())}, not ${String(words)}`)
    }
    return await this.#reads(async () => (await line.innerText()).replace(/\s+/g, ' '), whole)
  }

  async actOnMachine(action: string): Promise<void> {
    await this.page.locator(`.pk-Machine [data-action=${action}]`).click()
  }

  async act(index: number, action: string): Promise<void> {
    await this.#mark()
    await this.cell(index).locator(`.pk-Line [data-action=${action}]`).click()
  }

  async output(index: number): Promise<string> {
    return await this.cell(index)
      .locator('.jp-OutputArea-child')
      .evaluateAll(nodes => nodes.map(node => node.querySelector('.jp-OutputArea-output')?.textContent ?? '').join(''))
  }

  /** Waits until an output is exactly this. Lab draws late on a busy machine, and not at all what is out of sight. */
  async prints(index: number, text: string): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS
    while ((await this.output(index)) !== text && Date.now() < deadline) {
      await this.cell(index).scrollIntoViewIfNeeded()
      await this.page.waitForTimeout(100)
    }
    assert.equal(await this.output(index), text)
  }

  /** Waits until all output of a cell reads like this; returns it. */
  async outputs(index: number, wished: RegExp): Promise<string> {
    return await this.#reads(() => this.output(index), wished)
  }

  /** Waits for a prompt: Lab numbers a cell after its last output was drawn. */
  async prompts(index: number, wished: RegExp): Promise<void> {
    const prompt = this.cell(index).locator('.jp-InputPrompt')
    await this.#reads(async () => (await prompt.innerText()).trim(), wished)
  }

  /** Waits until an output holds a text. */
  async shows(index: number, text: string): Promise<void> {
    await this.cell(index).locator('.jp-OutputArea-output', { hasText: text }).first().waitFor({ timeout: PATIENCE_MS })
  }

  async save(): Promise<void> {
    await this.page.keyboard.press('Escape')
    await this.page.keyboard.press('Control+S')
    await this.page.waitForFunction(() => document.querySelector('.jp-mod-current.jp-mod-dirty') === null, null, {
      timeout: PATIENCE_MS
    })
  }

  /** Saves until the file holds this output. */
  async saves(index: number, text: string): Promise<void> {
    await this.savesAs(cells => textOf(cells[index]) === text)
    assert.equal(textOf((await this.saved())[index]), text)
  }

  /** Saves until the file is as wished: Lab passes over a wish to save while it is saving. */
  async savesAs(wished: (cells: SavedCell[]) => boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS
    do await this.save()
    while (!wished(await this.saved()) && Date.now() < deadline)
    assert.ok(wished(await this.saved()), 'the file never was as wished')
  }

  /** Waits until the file names the task of a cell: from then on a page may be closed. */
  async remembers(index: number): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS
    while ((await this.saved())[index]?.metadata.pekka === undefined) {
      assert.ok(Date.now() < deadline, 'the file never named the task')
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }

  /** The notebook's file. Lab writes in place: until it is through, the file is empty or cut, and read again. */
  async saved(): Promise<SavedCell[]> {
    const deadline = Date.now() + PATIENCE_MS
    for (;;) {
      const text = await readFile(join(this.network.work, this.name), 'utf8')
      try {
        const notebook = JSON.parse(text) as { cells: SavedCell[] } // Lab wrote it
        return notebook.cells
      } catch (error) {
        if (Date.now() > deadline) throw error
      }
      await this.page.waitForTimeout(20)
    }
  }

  async reload(): Promise<void> {
    await this.page.reload()
    await this.ready()
  }

  /** An item of the Run menu. */
  async command(label: string): Promise<void> {
    // Lab's menus are about the notebook that has the focus.
    await this.select(0)
    await this.#mark()
    await this.page.locator('.lm-MenuBar-item', { hasText: 'Run' }).click()
    await this.page.locator('.lm-Menu-item', { hasText: label }).first().click()
    await this.agree()
  }

  async darken(): Promise<void> {
    await this.page.locator('.lm-MenuBar-item', { hasText: 'Settings' }).click()
    await this.page.locator('.lm-Menu-item', { hasText: 'Theme' }).first().hover()
    await this.page.locator('.lm-Menu-item', { hasText: 'JupyterLab Dark' }).first().click()
    await this.page.waitForFunction(() => document.body.dataset['jpThemeLight'] === 'false')
  }

  /** A command of the palette. */
  async palette(label: string): Promise<void> {
    await this.page.locator('.lm-MenuBar-item', { hasText: 'View' }).click()
    await this.page.locator('.lm-Menu-item', { hasText: 'Activate Command Palette' }).click()
    await this.page.locator('.lm-CommandPalette-input').fill(label)
    await this.page.locator('.lm-CommandPalette-item', { hasText: label }).first().click()
  }

  /** "Trust Notebook", with its dialog. */
  async trust(): Promise<void> {
    await this.palette('Trust Notebook')
    await this.page.locator('.jp-Dialog button', { hasText: 'Trust' }).click()
    await this.page.waitForFunction(() => document.querySelector('.jp-Dialog') === null)
    await this.page.waitForTimeout(500)
  }

  /** Takes back what was agreed to, so that the next run asks; with other settings. */
  async forget(settings: Record<string, unknown> = {}): Promise<void> {
    await this.network.configure(settings)
    await this.page.reload()
    await this.ready()
  }

  /** Opens the panel, and cancels the newest task there. */
  async cancelInPanel(): Promise<void> {
    const { page } = this
    await page.locator('.pk-Status button').click()
    await page.locator('.pk-Row').first().click()
    await page.locator('.pk-Detail .pk-Button', { hasText: 'Cancel' }).click()
    await page.locator('.pk-Detail-ask .pk-mod-go').click()
    await page.locator('.pk-Row-state', { hasText: 'Cancelled by you' }).first().waitFor()
  }

  async handle(selector: string): Promise<ElementHandle> {
    return await this.page.waitForSelector(selector, { timeout: PATIENCE_MS })
  }
}

/** A fresh browser profile. */
async function profile(network: Network): Promise<BrowserContext> {
  const context = await network.browser.newContext({ viewport: { width: 1280, height: 800 }, bypassCSP: true })
  context.setDefaultTimeout(PATIENCE_MS)
  await context.addInitScript('globalThis.__name = value => value')
  await context.addInitScript(countDecisions, UNDECIDED)
  return context
}

/** The text that a saved cell printed. */
export const textOf = (cell: SavedCell | undefined): string =>
  (cell?.outputs ?? []).map(({ text }) => (Array.isArray(text) ? text.join('') : (text ?? ''))).join('')
