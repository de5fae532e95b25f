// poong: the smallest module there is, and PING under another name.
import { API_VERSION, type Call, defineModule, type ModuleContext } from '../api.ts';

let context: ModuleContext;

const pong = (call: Call): void => call.reply.simple('POOOOOOOOOONG');
const flags = ['readonly', 'stale', 'fast'] as const;

export default defineModule({
  name: 'sh.matt.test.pong',
  version: '0.0001',
  apiVersion: API_VERSION,
  commands: [
    { name: 'poong', arity: 1, flags, summary: 'Answers at some length.', run: pong },
    { name: 'pooooong', arity: 1, flags, summary: 'Answers at some length.', run: pong },
    { name: 'pooong', arity: 1, flags, summary: 'Answers at some length.', run: pong },
    { name: 'pinger', arity: 1, flags, summary: 'PING.', run: (call) => context.forward(call, 'PING') },
  ],
  onLoad(given) {
    context = given;
  },
});
