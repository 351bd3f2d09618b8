/** Bytes of base64 text that our own helper made; by the browser's own decoder where it has one. */
export function fromBase64Fast(text: string): Uint8Array {
  // Not in every browser that Lab supports.
  const native = (Uint8Array as { fromBase64?: (text: string) => Uint8Array }).fromBase64
  if (native !== undefined) return native.call(Uint8Array, text)
  const binary = atob(text)
  const bytes = new Uint8Array(binary.length)
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index)
  return bytes
}

const CHUNK = 0x8000

/** Base64 of bytes, for a kernel. */
export function toBase64Fast(bytes: Uint8Array): string {
  const native = (bytes as { toBase64?: () => string }).toBase64 // as above
  if (native !== undefined) return native.call(bytes)
  let binary = ''
  for (let at = 0; at < bytes.length; at += CHUNK) binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK))
  return btoa(binary)
}
