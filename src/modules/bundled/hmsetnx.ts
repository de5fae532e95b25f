// hmsetnx: HMSET that sets all fields or, when one of them is there already, none.
import { API_VERSION, type Call, changed, defineModule, hashAt, hashToWrite, NOTIFY_HASH, setField } from '../api.ts';

function hmsetnx(call: Call): void {
  const { argc, reply } = call;
  if (argc % 2 === 1) {
    reply.error('ERR wrong number of arguments for HMSETNX');
    return;
  }
  const existing = hashAt(call, 1);
  if (existing === undefined) return;
  for (let i = 2; existing !== null && i < argc; i += 2) {
    if (existing.find(call.bytes, call.offsets[i], call.lengths[i]) !== 0) {
      reply.integer(0);
      return;
    }
  }
  const hash = hashToWrite(call, 1)!;
  for (let i = 2; i < argc; i += 2) setField(call, hash, call.word(i), call.word(i + 1));
  changed(call, 1, NOTIFY_HASH, 'hset');
  reply.ok();
}

export default defineModule({
  name: 'sh.matt.hmsetnx',
  version: '0.4',
  apiVersion: API_VERSION,
  commands: [
    {
      name: 'hmsetnx',
      arity: -4,
      flags: ['write', 'denyoom'],
      keys: [1, 1, 1],
      group: 'hash',
      summary: 'Sets fields of a hash if none of them exists.',
      run: hmsetnx,
    },
  ],
});
