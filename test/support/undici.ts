// undici's Agent, of the undici that Node brings for `fetch`: programs import it from the package.
export type Agent = new (options: object) => { close(): Promise<void> };

const DISPATCHER = Symbol.for('undici.globalDispatcher.1');

/** Node makes it when `fetch` is first called. */
await fetch('data:,');

export function undiciAgent(): Agent {
  return (globalThis as unknown as Record<symbol, object>)[DISPATCHER].constructor as Agent;
}
