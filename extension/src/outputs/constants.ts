/** Pictures larger than this (decoded) are named instead of shown. One 50 MB picture passes; a task's output is 64 MiB. */
export const MAX_IMAGE_BYTES = 64 << 20

/** Pixels of a picture: 64 MP, about 256 MB when the browser decodes it (reliability-security R7). */
export const MAX_PIXELS = 64_000_000

/** HTML that is cleaned and put into the page. A table of 10,000 rows is about 2 MB; more makes the notebook slow to save. */
export const MAX_HTML_CHARS = 4 << 20

/** Elements of cleaned HTML. Lab lays out 50,000 table cells in about a second. */
export const MAX_HTML_ELEMENTS = 50_000

/** Pages kept for "Show interactive output". plotly.js alone has about 4.7 MB. */
export const MAX_INTERACTIVE_CHARS = 16 << 20

/** Text of one `text/plain` representation; streams are bounded per cell below. */
export const MAX_PLAIN_CHARS = 4 << 20

/** SVG source. matplotlib's scatter of 10^5 points is about 8 MB. */
export const MAX_SVG_CHARS = 16 << 20

/** Shapes an SVG may have after its `<use>` references are followed, so that ten nested ones can't become 10^10. */
export const MAX_SVG_SHAPES = 500_000

/** LaTeX longer than this is shown as text: MathJax works on the page's own thread. */
export const MAX_LATEX_CHARS = 64 << 10

/** JSON: depth and values of one `application/json` output; Lab's tree view draws every open value. */
export const MAX_JSON_DEPTH = 64
export const MAX_JSON_VALUES = 100_000

/** Stream text that a cell shows. The runner cuts at 16 MiB (DESIGN §6); this bounds a provider that doesn't. */
export const MAX_CELL_TEXT_CHARS = 17 << 20

/** Outputs of one cell. The notebook shows 50 at once; beyond some thousand it can't be saved in reasonable time. */
export const MAX_CELL_OUTPUTS = 5_000

/** Characters of an unfinished escape sequence that wait for the rest in the next piece of a stream. */
export const MAX_ESCAPE_CHARS = 4_096

/** Stream text is shown at once when the cell was quiet, then at most every 30 ms: 33 updates a second look continuous. */
export const FLUSH_MS = 30

/**
 * JupyterLab scans a stream's whole text at each append, so with much text the pause grows: 30 ms more for each further
 * mebibyte keeps that work below about a third of the page's time.
 */
export const FLUSH_MS_PER_MIB = 30

/** Opaque ids and names from a provider. */
export const MAX_ID_CHARS = 256

/** The private representation of an output that runs scripts: shown as text with a button (see interactive.ts). */
export const INTERACTIVE_MIME = 'application/vnd.pekka.interactive+json'
