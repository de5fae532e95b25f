// The control socket's `upgrade` and `move`: the server is handed over to a new process, here or on another host, and tells
// what happens, line by line. For server.ts.
import type { ControlAnswers, ControlStream } from '../observe/control-server.ts';
import type { Progress } from './giver.ts';

type Tell = (progress: Progress) => void;

export interface Movable {
  handOver(tell: Tell): Promise<void>;
  moveTo(place: string, tell: Tell): Promise<void>;
}

export function handoverAnswers(server: Movable): ControlAnswers {
  return {
    upgrade: (_request, stream) => follow(stream, (tell) => server.handOver(tell)),
    move: ({ to }, stream) => follow(stream, (tell) => server.moveTo(String(to), tell)),
  };
}

function follow(stream: ControlStream, begin: (tell: Tell) => Promise<void>): undefined {
  begin((progress) => stream.line({ ok: progress })).catch((error: Error) => {
    stream.line({ error: error.message, code: 'HANDOVER' });
    stream.end();
  });
}
