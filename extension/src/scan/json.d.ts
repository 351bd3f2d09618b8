/** Tables that are made with the images; `readTables` checks their shape. */
declare module '*/sandbox-images/modules.json' {
  const tables: unknown
  export default tables
}
declare module '*/sandbox-images/reviewed-names.json' {
  const names: unknown
  export default names
}
