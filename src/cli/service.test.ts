import { describe, expect, it } from 'vitest';
import { supervisorOf } from './service.ts';

describe('supervised', () => {
  it.each([
    ['no', { NOTIFY_SOCKET: '/run/x' }, 'no'],
    ['auto', { NOTIFY_SOCKET: '/run/x' }, 'systemd'],
    ['auto', { UPSTART_JOB: 'wiredis' }, 'upstart'],
    ['auto', {}, 'no'],
    ['systemd', { NOTIFY_SOCKET: '@x' }, 'systemd'],
    ['systemd', {}, 'no'],
    ['upstart', { NOTIFY_SOCKET: '/run/x' }, 'no'],
  ] as const)('%s with %o is %s', (supervised, env, expected) => {
    expect(supervisorOf({ supervised }, env)).toBe(expected);
  });
});
