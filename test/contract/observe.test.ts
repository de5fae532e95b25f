// The metrics port over kernel sockets: what /metrics tells, who may read, and the page's data.
import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { coreSubject } from '../../src/observe/core-subject.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { settingsProblem } from '../../src/observe/observe-door.ts';
import { ObserveServer } from '../../src/observe/observe-server.ts';
import { OurServer } from '../support/our-server.ts';
import { freePort } from '../support/redis-server.ts';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

let server: OurServer;
let observe: ObserveServer;
let port: number;

async function open(token = ''): Promise<void> {
  port = await freePort();
  const { server: core, transport } = server;
  observe = new ObserveServer(coreSubject(core, transport), new Metrics(core, transport), {
    port,
    bind: '127.0.0.1',
    token,
  });
  await observe.start();
}

function get(
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
  onData: () => void = () => {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers, method }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        onData();
        // A stream of events has no end: its first one is enough.
        if (path === '/api/live' && text.includes('"reading"')) response.destroy();
      });
      response.on('close', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    sent.on('error', reject);
    sent.end();
  });
}

beforeEach(async () => {
  server = await OurServer.start();
});

afterEach(async () => {
  observe.close();
  await server.stop();
});

describe('/metrics', () => {
  it("has redis_exporter's names with the server's figures", async () => {
    await open();
    const peer = server.connect();
    for (const words of [
      ['SET', 'a', '1'],
      ['GET', 'a'],
      ['GET', 'b'],
      ['LPUSH', 'a', 'x'],
    ])
      await peer.ask(...words);
    const { status, headers, text } = await get('/metrics');
    expect(status).toBe(200);
    expect(headers['content-type']).toContain('version=0.0.4');
    const value = (name: string): number => {
      const line = text.split('\n').find((row) => row.startsWith(`${name} `));
      if (line === undefined) throw new Error(`no ${name}`);
      return Number(line.slice(name.length + 1));
    };
    expect(value('redis_up')).toBe(1);
    expect(value('redis_connected_clients')).toBe(1);
    expect(value('redis_commands_processed_total')).toBe(4);
    expect(value('redis_keyspace_hits_total')).toBe(1);
    expect(value('redis_keyspace_misses_total')).toBe(1);
    expect(value('redis_db_keys{db="db0"}')).toBe(1);
    expect(value('redis_commands_total{cmd="get"}')).toBe(2);
    expect(value('redis_commands_failed_calls_total{cmd="lpush"}')).toBe(1);
    expect(value('redis_errors_total{err="WRONGTYPE"}')).toBe(1);
    expect(value('redis_commands_latencies_usec_count{cmd="get"}')).toBe(2);
    expect(value('redis_commands_latencies_usec_bucket{cmd="get",le="+Inf"}')).toBe(2);
    expect(text).toContain('redis_version="7.0.15"');
    expect(text.match(/# TYPE redis_commands_latencies_usec histogram/g)).toHaveLength(1);
    peer.close();
  });

  it('writes every family once, and buckets that only grow', async () => {
    await open();
    const peer = server.connect();
    for (let i = 0; i < 50; i++) await peer.ask('SET', `key:${i}`, 'x'.repeat(i));
    const { text } = await get('/metrics');
    const types = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    expect(new Set(types).size).toBe(types.length);
    const buckets = [...text.matchAll(/^redis_commands_latencies_usec_bucket\{cmd="set",.*\} (\d+)$/gm)].map(
      ([, n]) => +n,
    );
    expect(buckets.length).toBeGreaterThan(10);
    expect(buckets).toEqual([...buckets].sort((a, b) => a - b));
    expect(buckets.at(-1)).toBe(50);
    peer.close();
  });
});

describe('who may read', () => {
  it('everyone on loopback, by a name of this machine only', async () => {
    await open();
    expect((await get('/metrics')).status).toBe(200);
    expect((await get('/metrics', { host: `localhost:${port}` })).status).toBe(200);
    expect((await get('/metrics', { host: 'evil.example' })).status).toBe(421);
    expect((await get('/metrics', {}, 'POST')).status).toBe(405);
    expect((await get('//')).status).toBe(400);
  });

  it('with a token: by header, or by a cookie that the address with the token gives', async () => {
    await open('secret');
    expect((await get('/metrics')).status).toBe(401);
    expect((await get('/api/connections')).status).toBe(401);
    expect((await get('/metrics', { authorization: 'Bearer wrong' })).status).toBe(401);
    expect((await get('/metrics', { authorization: 'Bearer secret', host: 'db1.example' })).status).toBe(200);
    const opened = await get('/?token=secret');
    expect(opened.status).toBe(303);
    expect(opened.headers.location).toBe('/');
    const [cookie] = opened.headers['set-cookie'] as string[];
    expect(cookie).toMatch(/HttpOnly; SameSite=Strict/);
    expect(cookie).not.toContain('secret');
    expect((await get('/', { cookie: cookie.split(';')[0] })).status).toBe(200);
  });

  it('nobody beyond loopback without a token', async () => {
    await open();
    expect(settingsProblem({ port: 1, bind: '0.0.0.0', token: '' })).toContain('metrics-token');
    expect(settingsProblem({ port: 1, bind: '10.0.0.1', token: 'x' })).toBeNull();
    expect(settingsProblem({ port: 1, bind: 'host', token: 'x' })).toContain('not an IP address');
  });
});

it('says in one line why its port cannot be had', async () => {
  await open();
  const { server: core, transport } = server;
  const at = (bind: string): Promise<void> =>
    new ObserveServer(coreSubject(core, transport), new Metrics(core, transport), { port, bind, token: 't' }).start();
  await expect(at('127.0.0.1')).rejects.toThrow(
    `metrics-port ${port} on 127.0.0.1 cannot be listened on: another process has that port; choose another one`,
  );
  await expect(at('192.0.2.77')).rejects.toThrow("that address is none of this host's kernel");
});

describe('the page', () => {
  it('loads nothing from elsewhere', async () => {
    await open();
    const { headers, text } = await get('/');
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(text).not.toMatch(/(src|href)="https?:/);
    for (const path of ['/style.css', '/uplot.css', '/uplot.js']) expect((await get(path)).status).toBe(200);
    expect((await get('/../package.json')).status).toBe(404);
  });

  it('has the connections, and a reading a second', async () => {
    await open();
    const peer = server.connect();
    await peer.ask('CLIENT', 'SETNAME', 'worker');
    const { total, rows } = JSON.parse((await get('/api/connections')).text);
    expect(total).toBe(1);
    expect(rows[0]).toMatchObject({ name: 'worker', command: 'client|setname', db: 0, tcp: null });
    expect((await get(`/api/connections/${rows[0].id}/sequence`)).status).toBe(404);
    let pending!: Promise<Answer>;
    // It greets after the first look at the counters, a second before the next.
    await new Promise<void>((greeted) => {
      pending = get('/api/live', {}, 'GET', greeted);
    });
    await peer.ask('GET', 'a');
    const events = (await pending).text.split('\n\n').filter(Boolean);
    const [hello, reading] = events.map((event) => JSON.parse(event.replace(/^data: /, '')));
    expect(hello).toMatchObject({ kind: 'hello', transport: 'kernel', port: server.port });
    expect(reading).toMatchObject({ kind: 'reading', clients: 1 });
    expect(reading.heat).toHaveLength(hello.limitsUs.length + 1);
    expect(reading.heat.reduce((a: number, b: number) => a + b)).toBe(1);
    peer.close();
  });
});
