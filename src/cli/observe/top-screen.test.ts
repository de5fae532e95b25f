import { describe, expect, it } from 'vitest';
import type { TopConnection, TopReading } from '../../observe/top-feed.ts';
import { type ScreenOptions, screenLines } from './top-screen.ts';

const connection = (id: number, more: Partial<TopConnection> = {}): TopConnection => ({
  id,
  address: `10.77.0.2:${40_000 + id}`,
  name: '',
  command: 'get',
  received: 1000 * id,
  sent: 10,
  rttUs: 150,
  sendQueue: 0,
  retransmissions: 0,
  idleMs: 0,
  ...more,
});

const TOP: TopReading = {
  server: {
    isRelay: false,
    transport: 'userspace',
    engine: 'afxdp',
    interface: 'eth1',
    addresses: '10.77.0.1/24',
    port: 6379,
    startedAt: 0,
    pid: 77,
    uptimeMs: ((25 * 60 + 2) * 60 + 3) * 1000,
  },
  seconds: 1,
  reading: {
    kind: 'reading',
    t: 1_700_000_000_000,
    commands: 82_100,
    bytesIn: 5_000_000,
    bytesOut: 2048,
    errors: 3,
    retransmissions: 0,
    clients: 50,
    blocked: 2,
    memory: 1024 * 1024,
    cpu: 0.6,
    budget: { receive: 0.2, commands: 0.1, persistence: 0, transmit: 0.2, other: 0.1, idle: 0.4 },
    latency: { p50: 2, p90: 3, p99: 11, p999: 80, max: 1500 },
    heat: [],
    busiest: [
      { name: 'get', rate: 60_000, meanUs: 1.4 },
      { name: 'set', rate: 22_100, meanUs: 2 },
    ],
    drops: [['tcp-no-listener', 12]],
  },
  connections: [connection(3, { name: 'worker' }), connection(2, { rttUs: 900 }), connection(1, { sendQueue: 5000 })],
};

const ALL: ScreenOptions = {
  width: 120,
  height: 40,
  colour: false,
  sort: 'traffic',
  isPaused: false,
  isOverdue: false,
  keys: false,
};
const ids = (lines: readonly string[]): string[] =>
  lines.slice(lines.findIndex((line) => line.startsWith('Id ')) + 1).map((line) => line.split(' ')[0]);

describe('the screen of top', () => {
  it('shows everything at a glance', () => {
    const [server, rates, latency, core, ...rest] = screenLines(TOP, ALL);
    expect(server).toMatch(
      /^wiredis 10\.77\.0\.1\/24 port 6379 {2}afxdp on eth1 {2}up 1d 01:02:03 {2}pid 77 {2}\d\d:\d\d:20$/,
    );
    expect(rates).toBe(
      'commands/s 82.1k  in 4.8M/s  out 2.0K/s  clients 50 (2 wait)  memory 1.0M  errors/s 3  sent again/s 0',
    );
    expect(latency).toBe('latency  p50 2us  p90 3us  p99 11us  p99.9 80us  max 1.50ms');
    expect(core).toBe('core 60% [rrrrrrcccttttttooo            ]  receive 20%  commands 10%  transmit 20%  other 10%');
    expect(rest).toContain('get      60.0k    1us                   tcp-no-listener   12');
    expect(ids(rest)).toEqual(['3', '2', '1']);
    expect(rest.at(-3)).toMatch(/^3 {3}10\.77\.0\.2:40003 {2}worker {2}get +2\.9K +10 +150us +0 +0 +1us$/);
  });

  it('sorts connections', () => {
    const sorted = (sort: ScreenOptions['sort']): string[] => ids(screenLines(TOP, { ...ALL, sort }));
    expect(sorted('rtt')[0]).toBe('2');
    expect(sorted('queue')[0]).toBe('1');
    expect(sorted('id')).toEqual(['1', '2', '3']);
  });

  it.each([20, 40, 79, 120, 300])('fits into %i columns, with and without colours', (width) => {
    const plain = screenLines(TOP, { ...ALL, width, keys: true });
    for (const line of plain) expect(line.length).toBeLessThanOrEqual(width);
    const coloured = screenLines(TOP, { ...ALL, width, keys: true, colour: true });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours.
    expect(coloured.map((line) => line.replace(/\x1b\[\d+m/g, ''))).toEqual(plain);
    expect(coloured.join('')).toContain('\x1b[1m');
  });

  it('folds its head on a narrow terminal instead of cutting it off', () => {
    const text = screenLines(TOP, { ...ALL, width: 40 }).join('\n');
    for (const part of ['pid 77', 'receive 20%', 'sent again/s 0', 'max 1.50ms', 'transmit 20%', 'other 10%'])
      expect(text).toContain(part);
    expect(text).toMatch(/\[r+c+t+o+ +\]/);
  });

  it.each([1, 3, 10, 24])('fits into %i lines, the keys last', (height) => {
    const lines = screenLines(TOP, { ...ALL, height, keys: true });
    expect(lines.length).toBeLessThanOrEqual(height);
    expect(lines.at(-1)).toMatch(/^q quit {3}s sort \(traffic\) {3}p pause/);
  });

  it('says that it stands still', () => {
    const lines = screenLines(TOP, { ...ALL, isPaused: true, keys: true });
    expect(lines[0]).toMatch(/paused$/);
    expect(lines.at(-1)).toContain('p go on');
  });

  it('says that the server is silent', () => {
    const lines = screenLines(TOP, { ...ALL, isOverdue: true });
    expect(lines.slice(0, 2).join(' ')).toContain('silent: a long command or script may keep it busy');
  });

  it('does without what the kernel does not tell', () => {
    const unknown = { received: null, sent: null, rttUs: null, sendQueue: null, retransmissions: null };
    const lines = screenLines(
      {
        ...TOP,
        server: { ...TOP.server, transport: 'kernel', engine: null, interface: null },
        connections: [connection(9, { ...unknown, idleMs: 2000 })],
      },
      ALL,
    );
    expect(lines[0]).toContain('kernel sockets');
    expect(lines.at(-1)).toMatch(/^9 {3}10\.77\.0\.2:40009 {2}- +get +- +- +- +- +- +2\.00s$/);
  });
});
