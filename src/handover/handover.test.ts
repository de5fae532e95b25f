import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createConfig, findDirective, getDirective, setDirective } from '../core/config.ts';
import { askForAdmission } from './admission.ts';
import { CHALLENGE, Channel, decode, type Message, PROOF, WELCOME } from './channel.ts';
import { applySettings, changedSettings, settingsOf } from './settings.ts';
import { parsePlace } from './waiting.ts';

/** One end of a stream whose other end is the test. */
class End extends Duplex {
  written: Buffer[] = [];

  override _read(): void {}

  override _write(piece: Buffer, _encoding: string, done: () => void): void {
    this.written.push(piece);
    done();
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('Channel', () => {
  it('hands on whole messages, however the stream is cut (property)', async () => {
    const message = fc.record({ kind: fc.nat(255), bytes: fc.uint8Array({ maxLength: 300 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 50 })),
        async (all, cuts) => {
          const from = new End();
          const sender = new Channel(from);
          for (const { kind, bytes } of all) sender.bytes(kind, bytes);
          await turn();
          const stream = Buffer.concat(from.written);
          const to = new End();
          const heard: Message[] = [];
          new Channel(to).onMessage = ({ kind, bytes }) => heard.push({ kind, bytes: Uint8Array.from(bytes) });
          for (let at = 0, i = 0; at < stream.length; i++) {
            const length = cuts[i % cuts.length] ?? stream.length;
            to.push(stream.subarray(at, at + length));
            at += length;
          }
          await turn();
          expect(heard).toEqual(all);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('carries plain data, and tells of its end once', async () => {
    const from = new End();
    new Channel(from).value(7, { a: [1, 'x'], bytes: Uint8Array.of(1, 2), map: new Map([['k', 1]]) });
    await turn();
    const to = new End();
    const channel = new Channel(to);
    let ends = 0;
    channel.onEnd = () => ends++;
    channel.onMessage = (message) =>
      expect(decode(message)).toEqual({ a: [1, 'x'], bytes: Uint8Array.of(1, 2), map: new Map([['k', 1]]) });
    to.push(Buffer.concat(from.written));
    await turn();
    expect.assertions(3);
    to.destroy();
    await turn();
    expect([ends, channel.ended]).toEqual([1, true]);
    expect(await channel.finish(1)).toBeUndefined();
  });
});

describe('admission', () => {
  const frame = (kind: number, bytes: Uint8Array): Buffer => {
    const head = Buffer.alloc(5);
    head[0] = kind;
    head.writeUInt32BE(bytes.length, 1);
    return Buffer.concat([head, bytes]);
  };

  it('shows what only one with the secret can, and believes nobody else', async () => {
    const end = new End();
    const asked = askForAdmission(new Channel(end), 'secret');
    end.push(frame(CHALLENGE, new Uint8Array(32).fill(1)));
    await turn();
    const [head, proof] = end.written;
    expect([head[0], proof.length]).toEqual([PROOF, 64]);
    end.push(frame(WELCOME, new Uint8Array(32)));
    await expect(asked).rejects.toThrow('does not know move-secret');
  });

  it('says so when it is turned away', async () => {
    const end = new End();
    const asked = askForAdmission(new Channel(end), 'secret');
    end.push(frame(CHALLENGE, new Uint8Array(32)));
    await turn();
    end.destroy();
    await expect(asked).rejects.toThrow('is move-secret the same there?');
  });
});

describe('settings that were changed while a server ran', () => {
  const set = (config: ReturnType<typeof createConfig>, name: string, value: string): void =>
    setDirective(config, findDirective(name)!, [value]);

  it('are those that differ, and take their place in another process', () => {
    const config = createConfig();
    set(config, 'maxmemory', '100mb');
    const before = settingsOf(config);
    set(config, 'save', '60 1');
    set(config, 'client-output-buffer-limit', 'pubsub 1mb 1mb 60');
    set(config, 'maxmemory', '200mb');
    const changed = changedSettings(config, before);
    expect(changed.map(([name]) => name).sort()).toEqual(['client-output-buffer-limit', 'maxmemory', 'save']);
    const other = createConfig();
    expect(applySettings(other, changed)).toEqual([]);
    for (const [name, value] of changed) expect(getDirective(other, findDirective(name)!)).toBe(value);
    set(config, 'save', '');
    expect(applySettings(other, changedSettings(config, before))).toEqual([]);
    expect(other.save).toEqual([]);
  });

  it('that another version does not know are named', () => {
    expect(applySettings(createConfig(), [['no-such', '1']])).toEqual(['no-such (unknown)']);
  });
});

it.each([
  ['10.0.0.1:7000', { host: '10.0.0.1', port: 7000 }],
  ['[fd00::1]:7000', { host: 'fd00::1', port: 7000 }],
  ['host.example:1', { host: 'host.example', port: 1 }],
  ['10.0.0.1', null],
  ['10.0.0.1:0', null],
  ['10.0.0.1:70000', null],
  ['fd00::1:7000', null],
])('a place: %s', (text, place) => {
  expect(parsePlace(text)).toEqual(place);
});
