/** Whether a multiaddress is good on its own machine only. */
export const isLoopback = (address: string): boolean =>
  address.startsWith('/ip4/127.') || address.startsWith('/ip6/::1/')
