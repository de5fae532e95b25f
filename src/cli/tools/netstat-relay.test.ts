import { expect, test } from 'vitest';
import { relayLines } from './netstat.ts';

test("the relay's figures in words", () => {
  const facts = {
    ...{ upstream: 'unix:/run/redis.sock', upstreamDown: true, upstreamFailures: 7, childPid: null, childRestarts: 2 },
    ...{
      clients: 3,
      waiting: 1,
      maxclients: 10_000,
      accepted: 9,
      rejected: 4,
      turnedAway: 2,
      bytesIn: 10,
      bytesOut: 20,
    },
  };
  const bus = { ...facts, port: 16379, upstream: 'tcp:127.0.0.1:16379', upstreamDown: false };
  expect(relayLines({ ...facts, forwards: [bus] })).toEqual([
    'upstream unix:/run/redis.sock  down, 7 attempts failed',
    'redis-server not running, started again 2 times',
    'clients 3 of 10000, 1 wait for the upstream',
    'accepted 9, rejected 4, told to try later 2',
    'to the upstream 10, back 20',
    'port 16379 to tcp:127.0.0.1:16379  up, 3 connections of 9 accepted, there 10, back 20',
  ]);
  const [, second] = relayLines({ ...facts, childRestarts: 0, forwards: [] });
  expect(second).toMatch(/^clients/);
});
