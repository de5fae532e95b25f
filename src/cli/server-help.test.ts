import { expect, it } from 'vitest';
import { allDirectives } from '../core/config.ts';
import { HIDDEN } from '../core/directive.ts';
import { HELP } from './server-help.ts';

/** Redis's own, which it does not tell of either. */
const OF_REDIS = new Set([
  'key-load-delay',
  'loading-process-events-interval-bytes',
  'loadmodule',
  'lua-enable-deprecated-api',
  'rdb-key-save-delay',
  'use-exit-on-panic',
  'watchdog-period',
]);

it('names every directive that redis-server does not have, and no other', () => {
  const ours = allDirectives
    .filter(({ name, directive }) => (directive.flags & HIDDEN) !== 0 && !OF_REDIS.has(name))
    .map(({ name }) => name);
  const reference = HELP.slice(HELP.indexOf('does not have:'), HELP.indexOf('Examples:'));
  const named = [...reference.matchAll(/--([a-z-]+)/g)].map(([, name]) => name);
  expect(named.sort()).toEqual([...ours].sort());
});

it('fits a terminal', () => {
  for (const line of HELP.split('\n')) expect(line.length, line).toBeLessThanOrEqual(100);
});
