// Ctrl-C and SIGTERM for tools that go on until then and have something to finish. `timeout`, npm and shells signal
// the process and its group: what comes within a moment is the same wish. Whoever asks later wants the end at once.
// Imported by src/cli only.

const SAME_WISH_MS = 1000;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Calls `stop` once, at the first signal. */
export function onInterrupt(stop: () => void): void {
  let isAsked = false;
  const asked = (): void => {
    if (isAsked) return;
    isAsked = true;
    AbortSignal.timeout(SAME_WISH_MS).addEventListener('abort', () => {
      for (const signal of SIGNALS) process.off(signal, asked);
    });
    stop();
  };
  for (const signal of SIGNALS) process.on(signal, asked);
}
