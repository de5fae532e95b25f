import { describe, expect, it } from 'vitest';
import { processTitle, titleProblem } from './process-title.ts';

const facts = {
  title: 'wiredis-server',
  'listen-addr': '10.0.0.1:6379',
  'server-mode': '',
  port: 6379,
  'tls-port': 0,
  unixsocket: '/run/r.sock',
  'config-file': '/etc/redis/redis.conf',
};

describe('the process title', () => {
  it('is the template with facts for its variables', () => {
    expect(processTitle('{title} {listen-addr} {server-mode}', facts)).toBe('wiredis-server 10.0.0.1:6379');
    expect(processTitle('TEST {port} {tls-port} {unixsocket} {config-file}', facts)).toBe(
      'TEST 6379 0 /run/r.sock /etc/redis/redis.conf',
    );
  });

  it('refuses variables that do not exist, and braces that do not close', () => {
    expect(titleProblem('{title} at {port}')).toBeNull();
    for (const bad of ['{invalid-var}', '{title', 'title}', '{}']) expect(titleProblem(bad), bad).not.toBeNull();
  });
});
