import assert from 'node:assert/strict'
import type { TaskEvent } from '@pekka/node/protocol'
import { browserBench } from './browser.js'
import type * as Harness from './harness.js'

declare const lab: typeof Harness

const PANDAS = `<div><style scoped>.dataframe tbody tr th { vertical-align: top; } .dataframe thead th { text-align: right; }</style>
<table border="1" class="dataframe"><thead><tr style="text-align: right;"><th></th><th>E</th></tr></thead>
<tbody><tr><th>0</th><td>4.82</td></tr></tbody></table><p>1 rows × 1 columns</p></div>`

const STYLER = `<style type="text/css">#T_a th { color: blue; } #T_a_row0_col0, #T_a_row1_col0 { background-color: #f00; color: #fff; }
#T_a .col_heading { font-weight: bold } #T_a tr:hover { background-color: yellow }</style>
<table id="T_a"><thead><tr><th class="col_heading level0">x</th></tr></thead><tbody>
<tr><td id="T_a_row0_col0" class="data row0 col0" style="color: #000">1</td></tr><tr><td id="T_a_row1_col0">2</td></tr></tbody></table>`

describe('outputs: in a real browser', function () {
  this.timeout(60_000)
  const bench = browserBench('harness.ts')

  const clean = async (data: Record<string, unknown>): Promise<Record<string, unknown>> =>
    await bench.page.evaluate(
      async raw => (await lab.cleaner.bundle({ data: raw as Record<string, unknown> })).data,
      data as never
    )

  describe('what is left whole', () => {
    it("keeps pandas' tables with their look, without classes and style sheets", async () => {
      const { 'text/html': html } = await clean({ 'text/html': PANDAS, 'text/plain': '  E' })
      assert.match(String(html), /<th style="vertical-align: top">0<\/th>/)
      assert.match(String(html), /<th style="text-align: right">E<\/th>/)
      assert.match(String(html), /<table border="1">/)
      assert.doesNotMatch(String(html), /class|<style/)
    })

    it("keeps Stylers' colours, by specificity and with inline styles last", async () => {
      const { 'text/html': html } = await clean({ 'text/html': STYLER })
      assert.match(String(html), /<td style="background-color: rgb\(255, 0, 0\); color: #000">1/)
      assert.match(String(html), /<td style="background-color: rgb\(255, 0, 0\); color: rgb\(255, 255, 255\)">2/)
      assert.match(String(html), /<th style="color: blue; font-weight: bold">x/)
      assert.doesNotMatch(String(html), /yellow|id=/)
    })

    it('turns Markdown into the HTML it means and keeps its source as text', async () => {
      const data = await clean({
        'text/markdown': '# A\n\n*b* [c](https://x.org)',
        'text/plain': '<IPython.core.display.Markdown object>'
      })
      assert.match(
        String(data['text/html']),
        /<h1>A<\/h1>\s*<p><em>b<\/em> <a href="https:\/\/x.org" rel="noopener noreferrer nofollow"/
      )
      assert.equal(data['text/plain'], '# A\n\n*b* [c](https://x.org)')
    })

    it('shows SVG as a picture that draws', async () => {
      const svg =
        '<svg width="40pt" height="30px" viewBox="0 0 9 9"><g id="a"><rect width="9" height="9" fill="red"/></g><use href="#a"/></svg>'
      const data = await clean({ 'image/svg+xml': svg, 'text/plain': '<Figure>' })
      assert.match(
        String(data['text/html']),
        /^<img src="data:image\/svg\+xml;base64,[^"]+" alt="Picture" width="53" height="30">$/
      )
      const drawn = await bench.page.evaluate(async html => {
        const node = lab.show(
          [{ output_type: 'display_data', data: { 'text/html': html }, metadata: {} } as never],
          false
        )
        await new Promise(resolve => setTimeout(resolve, 200))
        return node.querySelector('img')?.naturalWidth
      }, String(data['text/html']))
      assert.ok(drawn !== undefined && drawn > 0)
    })

    it('keeps a cleaned text the same when it is cleaned again', async () => {
      for (const source of [
        PANDAS,
        STYLER,
        '<p>a &lt;b&gt; <a href="http://x">c</a><img src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="></p>'
      ]) {
        const once = (await clean({ 'text/html': source }))['text/html']
        assert.ok(typeof once === 'string')
        assert.equal((await clean({ 'text/html': once }))['text/html'], once)
      }
    })
  })

  describe('interactive output', () => {
    it('shows its text first, runs in a frame on request and goes when closed', async () => {
      const result = await bench.page.evaluate(async beacon => {
        const tell = `const out = {}; for (const [name, probe] of Object.entries({
          page: () => parent.document.title, top: () => top.document.title, cookie: () => document.cookie,
          storage: () => localStorage.length })) { try { out[name] = String(probe()) } catch (e) { out[name] = e.name } }
          fetch('${beacon}fetch').catch(() => {}); new Image().src = '${beacon}img'; out.origin = origin;
          try { new WebSocket('${beacon}'.replace('http', 'ws')) } catch {}
          navigator.sendBeacon && navigator.sendBeacon('${beacon}send');
          document.body.append(Object.assign(document.createElement('iframe'), { src: '${beacon}frame' }));
          top.postMessage({ probe: out }, '*'); setTimeout(() => { location = '${beacon}navigate' }, 100);
          try { top.location = '${beacon}top' } catch {}; open('${beacon}popup')`
        const bundle = await lab.cleaner.bundle({
          data: { 'text/html': `<div id="plot">figure</div><script>${tell}</script>`, 'text/plain': 'Figure()' }
        })
        const heard: unknown[] = []
        const listen = (event: MessageEvent<{ probe?: unknown }>): void => {
          if (event.data?.probe !== undefined) heard.push(event.data.probe)
        }
        addEventListener('message', listen)
        const node = lab.show([{ output_type: 'display_data', ...bundle } as never], false)
        const before = { frames: node.querySelectorAll('iframe').length, text: node.querySelector('pre')?.textContent }
        const button = node.querySelector<HTMLButtonElement>('.pk-Interactive-button')
        button?.click()
        const frame = node.querySelector('iframe')
        await new Promise(resolve => setTimeout(resolve, 1500))
        const open = {
          sandbox: frame?.getAttribute('sandbox'),
          label: button?.textContent,
          heard: [...heard],
          height: frame?.style.height
        }
        button?.click()
        const after = { frames: node.querySelectorAll('iframe').length, label: button?.textContent }
        removeEventListener('message', listen)
        return { before, open, after }
      }, bench.beacon)
      assert.deepEqual(result.before, { frames: 0, text: 'Figure()' })
      assert.equal(result.open.sandbox, 'allow-scripts')
      assert.equal(result.open.label, 'Close interactive output')
      assert.deepEqual(result.open.heard, [
        {
          page: 'SecurityError',
          top: 'SecurityError',
          cookie: 'SecurityError',
          storage: 'SecurityError',
          origin: 'null'
        }
      ])
      assert.deepEqual(bench.beacons, [])
      assert.deepEqual(result.after, { frames: 0, label: 'Show interactive output' })
      assert.match(bench.page.url(), /^http:\/\/127\.0\.0\.1/)
    })

    it("gives a page the scripts that an earlier output of its run brought, as plotly's", async () => {
      const heard = await bench.page.evaluate(async () => {
        const load = await lab.cleaner.bundle({ data: { 'text/html': '<script>window.Plot = () => 42</script>' } })
        const page = await lab.cleaner.bundle({
          data: {
            'text/html': '<div id="p"></div><script>top.postMessage({ plot: Plot() }, "*")</script>',
            'application/vnd.plotly.v1+json': {}
          }
        })
        const result = new Promise(resolve =>
          addEventListener('message', event => event.data?.plot !== undefined && resolve(event.data.plot))
        )
        const node = lab.show(
          [{ output_type: 'display_data', ...load } as never, { output_type: 'display_data', ...page } as never],
          false
        )
        const [...buttons] = node.querySelectorAll<HTMLButtonElement>('.pk-Interactive-button')
        buttons.forEach(button => button.click())
        return { plot: await result, buttons: buttons.length, fallback: page.data['text/plain'] }
      })
      assert.deepEqual(heard, { plot: 42, buttons: 1, fallback: 'Interactive output' })
    })
  })

  describe('a task writes its cells', () => {
    const t = 0
    const EVENTS: TaskEvent[] = [
      { type: 'cell-start', cell: 'a', t },
      { type: 'stream', cell: 'a', name: 'stdout', text: '10%', t },
      { type: 'stream', cell: 'a', name: 'stdout', text: '\r100%\n', t },
      { type: 'stream', cell: 'a', name: 'stderr', text: 'warn \x1b[3', t },
      { type: 'stream', cell: 'a', name: 'stderr', text: '1mred\x1b[0m\n', t },
      {
        type: 'display_data',
        cell: 'a',
        data: { 'text/plain': 'one' },
        metadata: { isolated: true },
        transient: { display_id: 'd' },
        t
      },
      { type: 'cell-end', cell: 'a', status: 'ok', executionCount: 1, t },
      { type: 'cell-start', cell: 'b', t },
      {
        type: 'display_data',
        cell: 'b',
        data: { 'text/plain': 'three' },
        metadata: {},
        transient: { display_id: 'd' },
        t
      },
      {
        type: 'update_display_data',
        cell: 'b',
        data: { 'text/plain': 'two' },
        metadata: {},
        transient: { display_id: 'd' },
        t
      },
      { type: 'stream', cell: 'b', name: 'stdout', text: 'gone', t },
      { type: 'clear_output', cell: 'b', wait: true, t },
      { type: 'execute_result', cell: 'b', data: { 'text/plain': '7' }, metadata: {}, executionCount: 2, t },
      { type: 'error', cell: 'b', ename: 'KeyError', evalue: "'x'", traceback: ['Traceback'], t },
      { type: 'stream', cell: 'other', name: 'stdout', text: 'not of this task', t },
      { type: 'cell-end', cell: 'b', status: 'error', executionCount: 2, t }
    ]
    const EXPECTED = {
      a: [
        { output_type: 'stream', name: 'stdout', text: '100%\n' },
        { output_type: 'stream', name: 'stderr', text: 'warn \x1b[31mred\x1b[0m\n' },
        { output_type: 'display_data', data: { 'text/plain': 'two' }, metadata: {} }
      ],
      b: [
        { output_type: 'execute_result', data: { 'text/plain': '7' }, metadata: {}, execution_count: 2 },
        { output_type: 'error', ename: 'KeyError', evalue: "'x'", traceback: ['Traceback'] }
      ]
    }

    it('as local runs would look, with the count last, untrusted, and alike when replayed', async () => {
      const result = await bench.page.evaluate(async json => {
        // JSON text: the events' type is recursive, which playwright's types can't follow.
        const events = JSON.parse(json) as TaskEvent[]
        const page = new lab.Page()
        const { model } = page.add('a', 'print()', [{ output_type: 'stream', name: 'stdout', text: 'old' }])
        page.add('b')
        page.add('other')
        const runs = []
        for (let i = 0; i < 2; i += 1) {
          const writer = page.writer(['a', 'b'])
          writer.begin()
          const prompt = [model.executionState, model.executionCount]
          for (const event of events) writer.push(event)
          await writer.finish()
          writer.updateMetadata({ state: 'received' })
          runs.push({
            a: page.outputs('a'),
            b: page.outputs('b'),
            prompt,
            end: [model.executionState, model.executionCount]
          })
        }
        const saved = model.toJSON()
        return {
          runs,
          other: page.outputs('other'),
          trusted: [model.trusted, model.sharedModel.getMetadata('trusted')],
          metadata: lab.parseCellMetadata(saved.metadata['pekka'])?.state,
          events: page.events.filter(({ type }) => type !== 'superseded').map(event => `${event.type} ${event.cell}`)
        }
      }, JSON.stringify(EVENTS))
      for (const run of result.runs) {
        assert.deepEqual({ a: run.a, b: run.b }, EXPECTED)
        assert.deepEqual(run.prompt, ['running', null])
        assert.deepEqual(run.end, ['idle', 1])
      }
      assert.deepEqual(result.other, [])
      assert.deepEqual(result.trusted, [false, false])
      assert.equal(result.metadata, 'received')
      assert.deepEqual(result.events.slice(0, 4), ['cell-start a', 'cell-start b', 'cell-end a', 'cell-end b'])
    })

    it('keeps an attempt that was lost, marked stale, until the next one sends', async () => {
      const result = await bench.page.evaluate(async () => {
        const page = new lab.Page()
        page.add('a')
        const writer = page.writer(['a'])
        writer.begin()
        writer.push({ type: 'stream', cell: 'a', name: 'stdout', text: 'first', t: 0 })
        await writer.settled()
        writer.nextAttempt()
        const kept = page.outputs('a')
        writer.push({ type: 'stream', cell: 'a', name: 'stdout', text: 'second', t: 0 })
        await writer.finish()
        return { kept, now: page.outputs('a'), events: page.events }
      })
      assert.equal(result.kept[0]?.['text'], 'first')
      assert.deepEqual(
        result.now.map(output => output['text']),
        ['second']
      )
      assert.deepEqual(result.events.slice(0, 2), [
        { type: 'stale', cell: 'a', stale: true },
        { type: 'stale', cell: 'a', stale: false }
      ])
    })

    it('keeps what a reopened notebook shows until the replay begins', async () => {
      const result = await bench.page.evaluate(async () => {
        const page = new lab.Page()
        page.add('a', '', [{ output_type: 'stream', name: 'stdout', text: 'saved' }])
        const writer = page.writer(['a'])
        writer.begin({ keep: true })
        const kept = page.outputs('a').length
        writer.push({ type: 'stream', cell: 'a', name: 'stdout', text: 'replayed', t: 0 })
        await writer.finish()
        return { kept, now: page.outputs('a').map(output => output['text']) }
      })
      assert.deepEqual(result, { kept: 1, now: ['replayed'] })
    })

    it('goes on in a moved cell, notes edits, waits while the cell is deleted', async () => {
      const result = await bench.page.evaluate(async () => {
        const page = new lab.Page()
        const first = page.add('a', 'x')
        const writer = page.writer(['a'])
        writer.begin()
        const say = async (text: string): Promise<void> => {
          writer.push({ type: 'stream', cell: 'a', name: 'stdout', text, t: 0 })
          await writer.settled()
        }
        await say('1')
        first.model.sharedModel.setSource('y')
        first.model.sharedModel.setSource('x')
        // As JupyterLab moves or deletes and restores a cell: the future is detached, the widget replaced.
        const future = first.outputArea.detachFuture()
        page.places.delete('a')
        await say('2')
        const moved = page.add('a', 'x', first.model.outputs.toJSON(), first.model.metadata)
        if (future !== null) moved.outputArea.reattachFuture(future)
        await say('3')
        await writer.finish()
        return {
          text: page.outputs('a').map(output => output['text']),
          trusted: moved.model.trusted,
          events: page.events
        }
      })
      assert.deepEqual(result.text, ['13'])
      assert.equal(result.trusted, false)
      assert.deepEqual(
        result.events.map(({ type }) => type),
        ['edited', 'edited', 'deleted', 'restored', 'cell-end']
      )
    })

    it('tells of a cell that stands elsewhere without what wrote to it, and writes it anew', async () => {
      const result = await bench.page.evaluate(async () => {
        const page = new lab.Page()
        const first = page.add('a')
        page.add('b')
        const writer = page.writer(['a', 'b'])
        writer.begin()
        const say = (text: string): void => writer.push({ type: 'stream', cell: 'a', name: 'stdout', text, t: 0 })
        say('1')
        await writer.settled()
        // As another page's move of the cell looks here: a new widget with what stood there, and the old one's future gone with it.
        const moved = page.add('a', '', first.model.outputs.toJSON(), first.model.metadata)
        first.outputArea.dispose()
        await Promise.resolve()
        const told = page.events.map(({ type }) => type)
        say('2')
        writer.begin({ keep: true })
        for (const text of ['1', '2', '3']) say(text)
        await writer.finish()
        return {
          ...{ told, events: page.events.map(({ type, cell }) => `${type} ${cell}`) },
          text: page.outputs('a').map(output => output['text']),
          state: [moved.model.executionState, moved.model.trusted]
        }
      })
      assert.deepEqual(result.told, ['displaced'])
      assert.deepEqual(result.text, ['123'])
      assert.deepEqual(result.state, ['idle', false])
      assert.equal(result.events.filter(event => event === 'displaced a').length, 1)
    })

    it('writes a cell anew that was cut and pasted, for what came meanwhile', async () => {
      const result = await bench.page.evaluate(async () => {
        const page = new lab.Page()
        const first = page.add('a')
        const writer = page.writer(['a'])
        writer.begin()
        const say = async (text: string): Promise<void> => {
          writer.push({ type: 'stream', cell: 'a', name: 'stdout', text, t: 0 })
          await writer.settled()
        }
        await say('1')
        // JupyterLab keeps what it detached for an undo alone.
        first.outputArea.detachFuture()
        page.places.delete('a')
        await say('2')
        page.add('a', '', first.model.outputs.toJSON(), first.model.metadata)
        await say('3')
        const told = page.events.map(({ type }) => type)
        writer.begin({ keep: true })
        for (const text of ['1', '2', '3']) await say(text)
        await writer.finish()
        return { told, text: page.outputs('a').map(output => output['text']) }
      })
      assert.deepEqual(result, { told: ['deleted', 'displaced'], text: ['123'] })
    })

    it('leaves a cell that another page of a shared notebook ran since, here or remotely', async () => {
      const result = await bench.page.evaluate(async () => {
        const page = new lab.Page()
        const [a, b, c] = [page.add('a'), page.add('b'), page.add('c')]
        const writer = page.writer(['a', 'b', 'c'])
        writer.begin()
        // What the other page writes comes through the shared model alone.
        const theirs = { ...a.model.getMetadata('pekka'), task: 'f'.repeat(64), owner: 'other' }
        a.model.sharedModel.setMetadata('pekka', theirs)
        b.model.sharedModel.deleteMetadata('pekka')
        for (const cell of ['a', 'b', 'c']) writer.push({ type: 'stream', cell, name: 'stdout', text: 'ours', t: 0 })
        a.model.executionState = 'running'
        await writer.finish()
        writer.updateMetadata({ state: 'settled' })
        return {
          events: page.events.filter(({ type }) => type !== 'cell-end').map(({ type, cell }) => `${type} ${cell}`),
          texts: ['a', 'b', 'c'].map(cell => page.outputs(cell).length),
          tasks: [a, b, c].map(({ model }) => (model.getMetadata('pekka') as { task: string } | undefined)?.task[0]),
          states: [a, c].map(({ model }) => model.executionState)
        }
      })
      assert.deepEqual(result.events, ['superseded a', 'run-locally b'])
      assert.deepEqual(result.texts, [0, 0, 1])
      assert.deepEqual(result.tasks, ['f', undefined, 'a'])
      assert.deepEqual(result.states, ['running', 'idle'])
    })

    for (const [how, keep] of [
      ['another attempt', false],
      ['begun anew', true]
    ] as const)
      it(`leaves what another page of a shared notebook ran since also where its own output comes once more: ${how}`, async () => {
        const result = await bench.page.evaluate(async anew => {
          const page = new lab.Page()
          const [, b, c] = [page.add('a'), page.add('b'), page.add('c')]
          const writer = page.writer(['a', 'b', 'c'])
          writer.begin()
          const say = (cell: string): void => writer.push({ type: 'stream', cell, name: 'stdout', text: 'ours', t: 0 })
          say('a')
          await writer.settled()
          for (const { model } of [b, c])
            model.outputs.fromJSON([{ output_type: 'stream', name: 'stdout', text: 'theirs' }])
          b.model.sharedModel.deleteMetadata('pekka')
          const theirs = { ...c.model.getMetadata('pekka'), task: 'f'.repeat(64), owner: 'other' }
          c.model.sharedModel.setMetadata('pekka', theirs)
          if (anew) writer.begin({ keep: true })
          else writer.nextAttempt()
          writer.push({ type: 'cell-start', cell: 'a', t: 0 })
          for (const cell of ['a', 'b', 'c']) say(cell)
          await writer.finish()
          return {
            texts: ['a', 'b', 'c'].map(cell => page.outputs(cell).map(output => output['text'])),
            tasks: [b, c].map(({ model }) => (model.getMetadata('pekka') as { task: string } | undefined)?.task[0]),
            given: page.events.flatMap(({ type, cell }) => (/superseded|locally/.test(type) ? `${type} ${cell}` : []))
          }
        }, keep)
        assert.deepEqual(result.texts, [['ours'], ['theirs'], ['theirs']])
        assert.deepEqual(result.tasks, [undefined, 'f'])
        assert.deepEqual(result.given, ['run-locally b', 'superseded c'])
      })

    it('leaves the cell to a local run and to a later remote run', async () => {
      const result = await bench.page.evaluate(async () => {
        const page = new lab.Page()
        const { model, outputArea } = page.add('a')
        const writer = page.writer(['a'])
        writer.begin()
        const local = new lab.RemoteFuture({ cleaner: lab.cleaner }, { id: 'local', date: '' })
        outputArea.future = local
        writer.push({ type: 'stream', cell: 'a', name: 'stdout', text: 'remote', t: 0 })
        local.push({ type: 'stream', cell: 'a', name: 'stdout', text: 'local', t: 0 })
        await local.settled()
        await writer.finish()
        const first = {
          text: page.outputs('a').map(output => output['text']),
          metadata: model.sharedModel.getMetadata('pekka') ?? null
        }
        const [second, third] = [page.writer(['a']), page.writer(['a'])]
        second.begin()
        third.begin()
        second.push({ type: 'stream', cell: 'a', name: 'stdout', text: 'second', t: 0 })
        third.push({ type: 'stream', cell: 'a', name: 'stdout', text: 'third', t: 0 })
        await Promise.all([second.finish(), third.finish()])
        return {
          first,
          text: page.outputs('a').map(output => output['text']),
          events: page.events.map(({ type }) => type)
        }
      })
      assert.deepEqual(result.first, { text: ['local'], metadata: null })
      assert.deepEqual(result.text, ['third'])
      assert.deepEqual(result.events.slice(0, 2), ['run-locally', 'superseded'])
    })

    it('notes a local run after the task ended, but not that the notebook was closed', async () => {
      const result = await bench.page.evaluate(async () => {
        const page = new lab.Page()
        const [a, b] = [page.add('a'), page.add('b')]
        const writer = page.writer(['a', 'b'])
        writer.begin()
        await writer.finish()
        a.outputArea.future = new lab.RemoteFuture({ cleaner: lab.cleaner }, { id: 'local', date: '' })
        b.outputArea.dispose()
        await Promise.resolve()
        const [local, closed] = [a, b].map(({ model }) => model.sharedModel.getMetadata('pekka') !== undefined)
        return {
          local,
          closed,
          events: page.events.filter(({ type }) => type === 'run-locally').map(({ cell }) => cell)
        }
      })
      assert.deepEqual(result, { local: false, closed: true, events: ['a'] })
    })

    it('stays untrusted when outputs are cleared while it runs', async () => {
      const result = await bench.page.evaluate(async () => {
        const page = new lab.Page()
        const { model } = page.add('a')
        const writer = page.writer(['a'])
        writer.begin()
        model.clearExecution()
        const cleared = model.trusted
        writer.push({ type: 'stream', cell: 'a', name: 'stdout', text: 'x', t: 0 })
        await writer.finish()
        return [cleared, model.trusted, model.sharedModel.getMetadata('trusted')]
      })
      assert.deepEqual(result, [true, false, false])
    })

    it('bounds text and outputs of a cell, whatever a provider sends', async () => {
      const result = await bench.page.evaluate(async () => {
        const page = new lab.Page()
        page.add('a')
        const writer = page.writer(['a'])
        writer.begin()
        for (let i = 0; i < 20; i += 1)
          writer.push({ type: 'stream', cell: 'a', name: 'stdout', text: 'x'.repeat(1 << 20), t: 0 })
        await writer.finish()
        const outputs = page.outputs('a')
        return { chars: JSON.stringify(outputs).length, last: outputs.at(-1)?.['text'] }
      })
      assert.ok(result.chars < 18 << 20)
      assert.match(String(result.last), /Output cut here/)
    })
  })
})
