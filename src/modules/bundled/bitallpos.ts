// bitallpos: the positions of all bits that are set in a string, the first bit being the highest of the first byte.
import { API_VERSION, type Call, defineModule, SYNTAX, stringAt } from '../api.ts';

/** BITALLPOS key [start [end [limit]]], offsets in bytes, negative ones from the end. */
function bitAllPos(call: Call): void {
  const { argc, reply } = call;
  if (argc > 5) {
    reply.error(SYNTAX);
    return;
  }
  const given = [0, -1, -1];
  for (let i = 2; i < argc; i++) {
    given[i - 2] = call.integer(i);
    if (Number.isNaN(given[i - 2])) return;
  }
  const value = stringAt(call, 1);
  if (value === undefined) return;
  const length = value?.length ?? 0;
  const [start, end] = given.map((offset) => Math.max(0, offset < 0 ? length + offset : offset));
  const last = Math.min(end, length - 1);
  const limit = given[2] < 0 ? Number.POSITIVE_INFINITY : given[2];
  const mark = reply.openDeferred();
  let found = 0;
  for (let at = start; at <= last && found < limit; at++) {
    const byte = value![at];
    for (let bit = 0; bit < 8 && found < limit; bit++) {
      if ((byte & (128 >> bit)) === 0) continue;
      reply.bulkInteger(at * 8 + bit);
      found++;
    }
  }
  reply.closeArray(mark, found);
}

export default defineModule({
  name: 'com.github.antirez.redis.pullrequest.1295',
  version: '0.3',
  apiVersion: API_VERSION,
  commands: [
    {
      name: 'bitallpos',
      arity: -2,
      flags: ['readonly'],
      keys: [1, 1, 1],
      group: 'bitmap',
      summary: 'Tells the positions of all bits that are set.',
      run: bitAllPos,
    },
  ],
});
