// The control socket's `upgrade`: has the server handed over to a new process, and tells what happens, line by line. For
// server.ts.
import type { ControlAnswer } from '../observe/control-server.ts';
import type { Progress } from './giver.ts';

/** @param handOver rejects when this process goes on. */
export function upgradeAnswer(handOver: (tell: (progress: Progress) => void) => Promise<void>): ControlAnswer {
  return (_request, stream) => {
    const tell = (progress: Progress): void => stream.line({ ok: progress });
    handOver(tell).catch((error: Error) => {
      stream.line({ error: error.message, code: 'HANDOVER' });
      stream.end();
    });
    return undefined;
  };
}
