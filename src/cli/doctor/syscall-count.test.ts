import { describe, expect, it } from 'vitest';
import { parsePerf, parseStrace } from './syscall-count.ts';
import { cutPhases } from './syscalls-document.ts';

describe('system calls', () => {
  it("are read from strace's table, with and without errors", () => {
    const text = `strace: Process 7 attached with 11 threads
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 99.56    0.000226           2       103           epoll_pwait
  0.44    0.000001           1         4         2 read
------ ----------- ----------- --------- --------- ----------------
100.00    0.000227           2       107         2 total
`;
    expect([...parseStrace(text)]).toEqual([
      ['epoll_pwait', 103],
      ['read', 4],
    ]);
    expect(parseStrace('strace: Process 7 attached\n').size).toBe(0);
  });

  it("are summed over the threads of perf's tables", () => {
    const thread = (calls: number): string => ` node (17374), 817 events, 93.9%

   syscall            calls  errors  total       min       avg       max       stddev
                                     (msec)    (msec)    (msec)    (msec)        (%)
   --------------- --------  ------ -------- --------- --------- ---------     ------
   epoll_pwait           ${calls}     26  1372.244     0.011    26.389   108.492     23.38%
   read                  12      8     0.163     0.011     0.014     0.024      8.27%

`;
    expect([...parsePerf(` Summary of events:\n\n${thread(52)}${thread(3)}`)]).toEqual([
      ['epoll_pwait', 55],
      ['read', 24],
    ]);
  });

  it('are cut into phases by the clock, and counted where they begin', () => {
    const log = `10 1.000100 execve("", ...) = 0
11 2.000000 read(3, ""..., 10 <unfinished ...>
10 2.000100 epoll_pwait(13, [], 1024, 0, NULL, 8) = 0
11 3.500000 <... read resumed>) = 1
10 3.600000 write(1, ""..., 10) = 10
10 3.700000 --- SIGTERM {si_signo=SIGTERM} ---
`;
    const calls = cutPhases(log, { 'start-up': [1, 2], idle: [2, 3], command: [3, 4], save: [4, 5] });
    expect(Object.entries(calls).map(([phase, map]) => [phase, Object.fromEntries(map)])).toEqual([
      ['start-up', { execve: 1 }],
      ['idle', { read: 1, epoll_pwait: 1 }],
      ['command', { write: 1 }],
      ['save', {}],
    ]);
  });
});
