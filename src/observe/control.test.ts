import { linkSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask, openStream } from './control-client.ts';
import { ControlError, ControlServer } from './control-server.ts';

let folder = '';
let path = '';
let control: ControlServer;
let closed = 0;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'control-'));
  path = join(folder, 'a.sock');
  closed = 0;
  control = await ControlServer.open(path, {
    echo: (request) => ({ heard: request.word }),
    no: () => {
      throw new ControlError('NEVER', 'not today');
    },
    flow: (_request, stream) => {
      stream.onClose = () => closed++;
      stream.line({ ok: 'begins' });
      stream.bytes(Uint8Array.of(1, 10, 255));
    },
  });
});

afterEach(() => {
  control.close();
  rmSync(folder, { recursive: true });
});

describe('the control socket', () => {
  it('answers a question, for its own user only', async () => {
    expect(await ask(path, 'echo', { word: 'Grüße\n' })).toEqual({ heard: 'Grüße\n' });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('refuses in words', async () => {
    await expect(ask(path, 'no')).rejects.toMatchObject({ code: 'NEVER', message: 'not today' });
    await expect(ask(path, 'toString')).rejects.toMatchObject({ code: 'UNKNOWN' });
    await expect(ask(join(folder, 'b.sock'), 'no')).rejects.toMatchObject({ code: 'NO_SERVER' });
  });

  it('takes the place of a dead one, and of nothing else', async () => {
    const file = join(folder, 'precious');
    writeFileSync(file, 'a');
    await expect(ControlServer.open(file, {})).rejects.toThrow(`${file} is there and is no socket`);
    expect(readFileSync(file, 'utf8')).toBe('a');
    const nowhere = join(folder, 'no', 'folder');
    await expect(ControlServer.open(nowhere, {})).rejects.toThrow(`${nowhere}: is the folder there`);
    await expect(ControlServer.open(path, {})).rejects.toThrow('another process answers');
  });

  it('streams bytes until the asker leaves', async () => {
    const stream = await openStream(path, 'flow');
    expect(await stream.line()).toBe('begins');
    for await (const bytes of stream.bytes()) {
      expect([...bytes]).toEqual([1, 10, 255]);
      break;
    }
    stream.close();
    await expect.poll(() => closed).toBe(1);
  });

  it('tells the asker that the server is gone, however it went', async () => {
    // Closed with the question unread, which resets the asker.
    const killed = createServer({ pauseOnConnect: true }, (socket) => setTimeout(() => socket.destroy(), 100));
    killed.listen(join(folder, 'k.sock'));
    await new Promise((done) => killed.once('listening', done));
    await expect(ask(join(folder, 'k.sock'), 'echo')).rejects.toMatchObject({ code: 'GONE' });
    await new Promise((done) => killed.close(done));
  });

  it('takes the place of a server that is gone, not of one that is there', async () => {
    await expect(ControlServer.open(path, {})).rejects.toThrow('another process answers');
    const dead = join(folder, 'dead.sock');
    const other = createServer().listen(dead);
    await new Promise((done) => other.once('listening', done));
    // Closing a server removes its path: a second name for it stays, and nobody answers there.
    const left = join(folder, 'left.sock');
    linkSync(dead, left);
    await new Promise((done) => other.close(done));
    const next = await ControlServer.open(left, { echo: () => 'new' });
    expect(await ask(left, 'echo')).toBe('new');
    next.close();
  });
});
