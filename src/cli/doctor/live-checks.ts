// What only a running server can tell: what it loses, and what is full. Counters are looked at twice, a second apart.
import type { StackFacts } from '../../transports/userspace.ts';
import { type Check, fail, pass, setKeyCommand, warn } from './check.ts';
import type { Situation } from './situation.ts';

interface Looks {
  readonly before: StackFacts;
  readonly after: StackFacts;
  readonly file: string;
}

/** A check that needs a running server on our own stack. */
function live(name: string, judge: (looks: Looks, situation: Situation) => ReturnType<Check['look']>): Check {
  return {
    name,
    async look(situation) {
      const before = situation.server?.stack ?? null;
      const after = await situation.later();
      if (before === null || after === null) return null;
      return judge({ before, after, file: situation.options.netdev }, situation);
    },
  };
}

/** Drops that a sound server has as well: others' broadcasts, scans, and what comes for nobody here. */
const USUAL_DROPS =
  /^(ethernet-not-for-us|ethernet-unknown-type|ethernet-other-vlan|ipv4-broadcast|ipv[46]-not-for-us|icmp-|ndp-|udp-no-port|tcp-no-listener|arp-)/;

/** What to do where a reason for dropping packets has a mend of its own. */
const DROP_ADVICE: Readonly<Record<string, string>> = {
  'tcp-bad-checksum': "a veth's other end leaves them out: see 'offloads' above",
};

const drops = live('drops', ({ before, after }) => {
  const gained = Object.entries(after.drops)
    .map(([name, count]) => [name, count - (before.drops[name] ?? 0)] as const)
    .filter(([name, count]) => count > 0 && !USUAL_DROPS.test(name))
    .sort(([, a], [, b]) => b - a);
  if (gained.length === 0) return pass('the stack drops no packet that it should have');
  const [worst] = gained[0];
  const advice = DROP_ADVICE[worst] ?? "'wiredis netstat --drops --watch' shows them";
  return warn(
    `packets dropped in a second: ${gained.map(([name, count]) => `${name} ${count}`).join(', ')}; ${advice}`,
  );
});

const RING_MAX = 16_384;

const rings = live('rings', ({ before, after, file }, { config }) => {
  const gained = (name: 'rxDropped' | 'txFull' | 'txErrors'): number =>
    after.engineCounters[name] - before.engineCounters[name];
  const rx = gained('rxDropped');
  const tx = gained('txFull') + gained('txErrors');
  if (rx === 0 && tx === 0) {
    const ever = after.engineCounters.rxDropped;
    return pass(
      ever === 0 ? 'no frame was lost for want of room' : `no frame is lost for want of room now; ${ever} were`,
    );
  }
  const [key, size] = rx > 0 ? ['rx-ring', config?.engine.rxRing ?? 0] : ['tx-ring', config?.engine.txRing ?? 0];
  const text =
    rx > 0
      ? `${rx} frames found the receive ring full in a second`
      : `the transmit ring was full ${tx} times in a second`;
  if (size === 0 || size >= RING_MAX) return fail(text);
  return fail(`${text}; a larger one is used from the next start`, setKeyCommand(file, key, String(size * 2)));
});

const cookies = live('SYN cookies', ({ before, after }) => {
  const sent = (facts: StackFacts): number => facts.counters.tcpSynCookiesSent;
  const gained = sent(after) - sent(before);
  if (gained === 0) return pass('not in use');
  return warn(`${gained} sent in a second: a SYN flood, or more new clients than the backlog takes`);
});

const neighbors = live('neighbours', ({ after }) => {
  const failed = after.neighbors.filter(({ state }) => state === 'failed').map(({ address }) => address);
  if (failed.length === 0) return pass(`${after.neighbors.length} known, none that does not answer`);
  return warn(`no hardware address for ${failed.slice(0, 5).join(', ')}: gone, or the network between is`);
});

/** Share of a limit that is worth telling. */
const NEARLY = 0.9;

const limits = live('limits', ({ after, file }) => {
  const { connections, maxConnections, bufferBytes, bufferBytesMax } = after;
  const used = `${connections} of ${maxConnections} connections, ${Math.round((100 * bufferBytes) / bufferBytesMax)}% of buffer-memory`;
  if (connections >= maxConnections * NEARLY) {
    return warn(
      `${used}: more are refused; a larger limit is used from the next start`,
      setKeyCommand(file, 'max-connections', String(maxConnections * 2)),
    );
  }
  if (bufferBytes >= bufferBytesMax * NEARLY) {
    const more = `${Math.ceil((bufferBytesMax * 2) / 1048576)}mb`;
    return warn(
      `${used}: windows are closed; a larger limit is used from the next start`,
      setKeyCommand(file, 'buffer-memory', more),
    );
  }
  return pass(used);
});

/** Segments sent again, of those sent. */
const RETRANSMITTED_MAX = 0.02;

const retransmissions = live('retransmissions', ({ before, after }) => {
  const gained = (name: string): number => (after.counters[name] ?? 0) - (before.counters[name] ?? 0);
  const again = gained('tcpRetransSegs');
  const sent = gained('tcpOutSegs');
  if (again === 0 || again < sent * RETRANSMITTED_MAX)
    return pass(`${again} of ${sent} segments of a second were sent again`);
  return warn(
    `${again} of ${sent} segments of a second were sent again: the network loses packets ('wiredis netstat' shows whose)`,
  );
});

export const liveChecks: readonly Check[] = [drops, rings, cookies, neighbors, limits, retransmissions];
