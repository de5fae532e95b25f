// `npm run bench:connections [COUNT]`, first half: two stacks in one process, at 10, 1,000 and COUNT connections.
import { measureIdle } from './idle-connections.ts';

const most = Number(process.argv[2] ?? 100_000);
for (const count of [10, 1000, most]) {
  const { connections, bytesPerConnection, tickNs, lookupNs, echoNs } = measureIdle(count);
  console.log(
    `${String(connections - 1).padStart(7)} connections: ${Math.round(bytesPerConnection)} bytes each, idle tick ${Math.round(tickNs)} ns, ` +
      `look-up ${Math.round(lookupNs)} ns, request and answer ${(echoNs / 1000).toFixed(1)} us`,
  );
}
