import assert from 'node:assert/strict'
import { counted, counting } from './counting.js'
import { textOf } from './lab-page.js'
import { labSuite } from './suite.js'

describe('extension: what happens to a run meanwhile', function () {
  this.timeout(180_000)
  const suite = labSuite()

  it('cancel keeps the output, says what it cost, and nothing runs afterwards', async () => {
    const lab = await suite.open([counting(1000)])
    await lab.run(0)
    await lab.shows(0, 'n 2')
    await lab.act(0, 'cancel')
    await lab.line(0, 'Cancelled by you', /credits · output so far is kept/)
    await lab.outputs(0, /n 0\nn 1\nn 2\n/)
    await lab.prompts(0, /^[^*]*$/)
  })

  it('a reloaded page shows all output, nothing lost or doubled', async () => {
    const lab = await suite.open([counting(24)])
    await lab.run(0)
    await lab.shows(0, 'n 3')
    await lab.remembers(0)
    // Opening the notebook and a change of the connection both want to go on with it; the first is answered late.
    const late = new Promise(resolve => setTimeout(resolve, 5_000))
    let asked = 0
    await lab.page.route(/\/v1\/tasks\/[0-9a-f]{64}$/, async route => {
      asked++
      await late
      await route.continue()
    })
    await lab.reload()
    await lab.done(0)
    await lab.prints(0, counted(24))
    await lab.prompts(0, /^\[\d+\]:$/)
    assert.equal(asked, 1)
  })

  it('a closed page finds result and receipt when it is opened again', async () => {
    let lab = await suite.open([counting(8), 'print("second")'])
    await lab.command('Run Notebook Remotely')
    await lab.shows(0, 'n 1')
    await lab.remembers(1)
    await lab.page.close()
    suite.page = lab = await lab.again()
    await lab.done(1)
    await lab.prints(0, counted(8))
    await lab.prints(1, 'second\n')
    await lab.saves(0, counted(8))
    await lab.act(1, 'receipt')
    const dialog = lab.page.locator('.pk-ReceiptDialog')
    await dialog.waitFor()
    assert.match(await dialog.innerText(), /All 7 parts hold/)
    await dialog.locator('button', { hasText: 'Close' }).click()
  })

  it('a bridge killed in mid-run: the line says so, and the output catches up', async () => {
    const lab = await suite.open([counting(40)])
    await lab.run(0)
    await lab.shows(0, 'n 3')
    await suite.net.kill('bridge')
    await lab.line(0, 'Not connected')
    await lab.done(0)
    await lab.prints(0, counted(40))
  })

  it('where the browser reaches the bridge itself it goes there, else through Lab’s own origin', async () => {
    for (const onlyLab of [false, true]) {
      const lab = await suite.open(['print("by", "way")'], { onlyLab })
      const ways = new Set<boolean>()
      lab.page.on('request', request => {
        const { origin, pathname } = new URL(request.url())
        if (pathname.endsWith('/v1/tasks') && request.method() === 'POST') ways.add(origin === suite.net.origin)
      })
      // The first page of a busy machine may have found the bridge silent, and keeps to the other way.
      if (!onlyLab) await lab.reload()
      await lab.run(0)
      await lab.done(0)
      await lab.prints(0, 'by way\n')
      assert.deepEqual([...ways], [onlyLab])
    }
  })

  it('moved and edited meanwhile, the cell gets its output and says that it is of an earlier version', async () => {
    const lab = await suite.open(['print("above")', counting(16)])
    await lab.run(1)
    await lab.shows(1, 'n 1')
    await lab.select(1)
    await lab.page.keyboard.press('Control+Shift+ArrowUp')
    await lab.shows(0, 'n 3')
    await lab.cell(0).locator('.cm-content').click()
    await lab.page.keyboard.press('Control+End')
    await lab.page.keyboard.type('\n# changed')
    await lab.line(0, 'Result of an earlier version of this cell')
    await lab.prints(0, counted(16))
    await lab.prints(1, '')
  })

  it('run here meanwhile, the cell is the local run’s alone', async () => {
    const lab = await suite.open([counting(1000)])
    await lab.run(0)
    await lab.shows(0, 'n 1')
    await lab.cell(0).locator('.cm-content').click()
    await lab.page.keyboard.press('Control+A')
    await lab.page.keyboard.type('print("local")')
    await lab.page.keyboard.press('Control+Enter')
    await lab.shows(0, 'local')
    await lab.page.waitForFunction(() => document.querySelector('.pk-Line') === null)
    await lab.savesAs(([cell]) => textOf(cell) === 'local\n' && cell?.metadata.pekka === undefined)
    // The task goes on in the panel, and is cancelled there.
    await lab.cancelInPanel()
  })

  it('deleted meanwhile, the notebook stays whole and the task is listed', async () => {
    const lab = await suite.open([counting(12), 'print("stays")'])
    await lab.run(0)
    await lab.shows(0, 'n 1')
    await lab.select(0)
    await lab.page.keyboard.press('d')
    await lab.page.keyboard.press('d')
    await lab.page.waitForFunction(() => document.querySelectorAll('.jp-Notebook .jp-Cell').length === 1)
    await lab.page.locator('.pk-Status button').click()
    await lab.page.locator('.pk-Row-state', { hasText: 'Done, not re-run' }).first().waitFor()
    await lab.savesAs(cells => cells.length === 1)
  })

  it('in two tabs one writes; the other shows the state and takes over when the first goes', async () => {
    // However long it takes to open a second page: it runs until it is cancelled.
    const lab = await suite.open([counting(1000)])
    await lab.run(0)
    await lab.shows(0, 'n 2')
    await lab.remembers(0)
    const second = await lab.again()
    await second.cell(0).locator('.pk-Line-facts', { hasText: 'output goes into your other tab' }).waitFor()
    const before = (await lab.output(0)).match(/n \d+/g)?.length ?? 0
    await lab.page.close()
    suite.page = second
    await second.shows(0, `n ${before + 4}\n`)
    await second.act(0, 'cancel')
    await second.line(0, 'Cancelled by you')
    const numbers = [...(await second.output(0)).matchAll(/n (\d+)\n/g)].map(([, n]) => Number(n))
    assert.deepEqual(numbers, [...numbers.keys()], 'nothing lost or doubled')
  })

  it('keeps a machine: cells see what earlier ones made, also after a reload and an interrupt, until it is let go', async () => {
    const lab = await suite.open([
      'x = 1',
      'x += 1\nprint(x)\nopen("made.txt", "w").write("here")\ny = [x]',
      'import time\nprint("on", flush=True)\ntime.sleep(1000)',
      'print(x, y)'
    ])
    await lab.keep()
    await lab.machine(/is kept/, /ends .* if nothing is run · .* credits a second while it waits/)
    await lab.run(0)
    await lab.line(0, 'Done', /on the kept machine/)
    await lab.run(1)
    await lab.line(1, 'Done', /1 file · 4 B: made.txt/)
    await lab.prints(1, '2\n')
    // What it brings back can be had while the machine is kept.
    await lab.act(1, 'values')
    await lab.line(1, 'Done', /In your kernel now: x, y\./)
    await lab.run(2)
    await lab.shows(2, 'on')
    await lab.remembers(2)
    await lab.reload()
    await lab.machine(/is at work/)
    await lab.shows(2, 'on')
    await lab.act(2, 'cancel')
    await lab.line(2, 'Interrupted by you')
    await lab.run(3)
    await lab.prints(3, '2 [2]\n')
    await lab.actOnMachine('let-go')
    await lab.machine(/was let go/, /credits · [\d.]+ came back/)
    await lab.done(3)
    await lab.savesAs(cells => cells[3]?.metadata.pekka?.state === 'settled')
  })

  it('tells of a kept machine that is lost, and runs its cells again on another', async () => {
    const lab = await suite.open(['z = 20', 'z += 1\nprint(z)'])
    await lab.keep()
    // By its name, not by the beginning of its id: names are learned late.
    const words = await lab.machine(/^provider-[12] is kept for this/)
    const machine = words.startsWith('provider-1') ? 'provider-1' : 'provider-2'
    await lab.run(0)
    await lab.line(0, 'Done', /on the kept machine/)
    await lab.run(1)
    await lab.line(1, 'Done', /on the kept machine/)
    await lab.prints(1, '21\n')
    await suite.net.kill(machine)
    await lab.machine(/was lost, and what its cells made with it/, /came back/)
    await lab.line(1, 'Done', /is gone since/)
    await lab.actOnMachine('again')
    await lab.page.locator('.pk-Quote button[type=submit]:enabled', { hasText: 'Keep a machine' }).click()
    await lab.machine(/is (kept for this|at work)/)
    await lab.line(1, 'Done', /on the kept machine/)
    await lab.prints(1, '21\n')
    await lab.actOnMachine('let-go')
    await lab.machine(/was let go/)
  })

  it('without a connection it says since when, and the run button why', async () => {
    const lab = await suite.open(['print(1)'])
    await lab.select(0)
    await lab.context.setOffline(true)
    // The socket notices by itself only after its ping; closing it stands for that.
    await suite.net.kill('bridge')
    await lab.page.locator('.pk-Status', { hasText: 'not connected' }).waitFor()
    await lab.page.waitForFunction(() =>
      /Not connected/.test(document.querySelector('[data-command="pekka:run-cell"]')?.getAttribute('title') ?? '')
    )
    // Lab's own dialogs about the lost server may stand in the way of a mouse.
    await lab.page.locator('.pk-Status button').evaluate((button: HTMLElement) => button.click())
    await lab.page.locator('.pk-Panel-banner', { hasText: 'No connection since' }).waitFor()
    await lab.context.setOffline(false)
    await lab.page.locator('.pk-Panel-foot', { hasText: 'Connected' }).waitFor({ timeout: 60_000 })
  })
})
