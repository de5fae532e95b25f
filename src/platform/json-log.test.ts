import { describe, expect, it } from 'vitest';
import { JsonLog } from './json-log.ts';

function logged(use: (log: JsonLog) => void): Record<string, unknown>[] {
  const lines: string[] = [];
  use(new JsonLog({ write: (line) => lines.push(line) }, () => Date.UTC(2026, 0, 2, 3, 4, 5, 678)));
  return lines.map((line) => {
    expect(line.endsWith('}\n')).toBe(true);
    return JSON.parse(line);
  });
}

describe('log-format json', () => {
  it("writes an object a line with Redis's levels", () => {
    expect(logged((log) => log.notice('Ready to accept connections'))).toEqual([
      {
        level: 'notice',
        pid: process.pid,
        role: 'M',
        time: '2026-01-02T03:04:05.678Z',
        msg: 'Ready to accept connections',
      },
    ]);
  });

  it('names the connection of an event, and keeps a message of several lines in one', () => {
    const [row] = logged((log) => log.warning('a\n"b"', { connection: 7, address: '10.0.0.1:5' }));
    expect(row).toMatchObject({ level: 'warning', connection: 7, address: '10.0.0.1:5', msg: 'a\n"b"' });
  });

  it('drops what is below loglevel', () => {
    const rows = logged((log) => {
      log.verbose('no');
      log.level = 'debug';
      log.debug('yes');
      log.level = 'warning';
      log.notice('no');
    });
    expect(rows.map(({ msg }) => msg)).toEqual(['yes']);
  });
});
