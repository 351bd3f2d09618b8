/**
 * How V8 is set for processes that pass output on: 4 MiB of young space instead of 16. Buffers lie outside its heap and don't
 * count for when it looks through its young objects; with 16 MiB more than 64 MiB of dead buffers gather before that, and it
 * answers with a full collection, which took a third of the bridge's time. A young one takes a millisecond.
 */
export const ENGINE_FLAGS: readonly string[] = ['--max-semi-space-size=4']
