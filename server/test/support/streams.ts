/** All bytes of a stream; none where there is no stream. */
export async function concatenated(chunks: AsyncIterable<Uint8Array> | undefined): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks ?? []) parts.push(chunk)
  return new Uint8Array(Buffer.concat(parts))
}
