/** What the user meant by the words on the command line. */

/**
 * The arguments as the user meant them: npm puts them behind the `up` of `npm start`, and `up` itself takes no words.
 * @param {string[]} given
 */
export function commandOf(given) {
  const [first, second] = given
  return first === 'up' && second !== undefined && !second.startsWith('-') ? given.slice(1) : given
}

/** The arguments that are PEKKA's: `run`'s options stand before FILE, and all behind it is the program's. @param {string[]} args */
export function ownArguments(args) {
  const file = args.findIndex(arg => /\.(py|ipynb)$/.test(arg))
  return file === -1 ? args : args.slice(0, file)
}
