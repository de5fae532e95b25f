import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { findAccount } from './privileges.ts';
import { notifyService } from './service-notify.ts';

/** Binds a datagram socket, prints the first that comes: Node cannot. */
const RECEIVER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); s.settimeout(10)
sys.stdout.write(s.recv(4096).decode())`;

const hasPython = (() => {
  try {
    return execFileSync('python3', ['-c', 'print(1)']).length > 0;
  } catch {
    return false;
  }
})();

describe('sd_notify', () => {
  it.skipIf(!hasPython)('sends its lines as one datagram', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'notify-'));
    const path = join(folder, 'socket');
    const said = new Promise<string>((resolve, reject) => {
      execFile('python3', ['-c', RECEIVER, path], (error, stdout) =>
        error === null ? resolve(stdout) : reject(error),
      );
    });
    while (!existsSync(path)) await sleep(20);
    expect(notifyService(path, 'READY=1\nSTATUS=Ready\n')).toBe(true);
    expect(await said).toBe('READY=1\nSTATUS=Ready\n');
    rmSync(folder, { recursive: true });
  });

  it('says when nobody is there', () => {
    expect(notifyService('/nonexistent/socket', 'READY=1')).toBe(false);
    expect(notifyService('', 'READY=1')).toBe(false);
    expect(notifyService(`/${'x'.repeat(120)}`, 'READY=1')).toBe(false);
  });
});

describe('findAccount', () => {
  const passwd = 'root:x:0:0:root:/root:/bin/sh\nredis:x:107:112::/var/lib/redis:/usr/sbin/nologin\nbroken:x\n';

  it('takes user and group from the list', () => {
    expect(findAccount('redis', passwd)).toEqual({ name: 'redis', uid: 107, gid: 112 });
    expect(findAccount('broken', passwd)).toBeNull();
    expect(findAccount('nobody', passwd)).toBeNull();
  });
});
