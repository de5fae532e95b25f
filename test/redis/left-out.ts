// What is not counted, and why: tests that fail on redis-server too, and those that look at something which is not
// there by design. They are not run, as some leave their settings behind where they stop. And what is to be said of some
// that are counted. Imported by test/redis only.

export type LeftOut = readonly [name: string, reason: string];

const CHILD = 'it looks for the child process that saves; wiredis saves without one';
const FOLLOWS = 'it goes on with the files of a test that looks for the child process';
const CRASH = 'it wants the server to end with a report of its assertion; wiredis refuses the data or goes on';
const REPORT = 'it wants the stack trace of a C program in the log';
const DEFRAG = 'it needs jemalloc';
const corrupt = (name: string): string => `corrupt payload: ${name}`;
const finding = (name: string): string => corrupt(`fuzzer findings - ${name}`);

/** With `--host`: no server passes them this way. */
export const LEFT_OUT_EXTERNAL: readonly LeftOut[] = [
  ['RESTORE fail with invalid payload size', 'redis-server 7.0.15 fails it too: its error text changed'],
  ['SRANDMEMBER with a dict containing long chain', "it reads the server's process id, which no external server has"],
];

/** Counted as failed, with what is behind it. */
export const EXPLAINED: ReadonlyMap<string, string> = new Map([
  [
    'trim on SET with big value',
    'the suite runs it only where `mem_allocator` says jemalloc; that `MEMORY USAGE` is below 42,000 then is a test of ours',
  ],
]);

/** With a server in another host's place, besides. */
export const LEFT_OUT_ELSEWHERE: readonly LeftOut[] = [
  ['CONFIG SET rollback on apply error', "it takes a port of the client's host to keep the server from having it"],
];

/** Where the units start servers. */
export const LEFT_OUT_OWN: readonly LeftOut[] = [
  ['Active defrag', DEFRAG],
  ['Active defrag eval scripts', DEFRAG],
  ['Active defrag big keys', DEFRAG],
  ['Active defrag big list', DEFRAG],
  ['Active defrag edge case', DEFRAG],
  ['CONFIG SET oom-score-adj works as expected', CHILD],
  ['Temp rdb will be deleted if we use bg_unlink when shutdown', CHILD],
  ["Don't rehash if redis has child process", CHILD],
  ['Test child sending info', CHILD],
  ['failed bgsave prevents writes', CHILD],
  ['AOF multiple rewrite failures will open multiple INCR AOFs', CHILD],
  ["AOF rewrite doesn't open new aof when AOF turn off", CHILD],
  ['AOF enable/disable auto gc', FOLLOWS],
  ['AOF can produce consecutive sequence number after reload', FOLLOWS],
  ['AOF enable during BGSAVE will not write data util AOFRW finish', CHILD],
  ['AOF will trigger limit when AOFRW fails many times', CHILD],
  [
    'AOF will open a temporary INCR AOF to accumulate data until the first AOFRW success when AOF is dynamically enabled',
    CHILD,
  ],
  ['diskless replication child being killed is collected', CHILD],
  ['replication child dies when parent is killed - diskless: yes', CHILD],
  ['replication child dies when parent is killed - diskless: no', CHILD],
  ['Process title set as expected', 'it wants the program to be called redis-server'],
  ['Server is able to generate a stack trace on selected systems', REPORT],
  ['Crash report generated on SIGABRT', REPORT],
  ['Crash report generated on DEBUG SEGFAULT', REPORT],
  [corrupt('load corrupted rdb with no CRC - #3505'), 'it wants the report of redis-check-rdb in the log'],
  [corrupt('listpack too long entry len'), CRASH],
  [corrupt('listpack very long entry len'), CRASH],
  [corrupt('hash listpack with duplicate records - convert'), CRASH],
  [finding('NPD in streamIteratorGetID'), CRASH],
  [finding('listpack NPD on invalid stream'), CRASH],
  [finding('stream bad lp_count - unsanitized'), CRASH],
  [finding('infinite loop'), CRASH],
  [finding('negative reply length'), CRASH],
  [finding('stream with no records'), CRASH],
  [finding('stream listpack valgrind issue'), CRASH],
  [finding('stream listpack lpPrev valgrind issue'), CRASH],
  [finding('gcc asan reports false leak on assert'), CRASH],
  [finding('lpFind invalid access'), CRASH],
];

/** Units that draw what they do: their tests are counted by kind, not by how often each was drawn. */
export const DRAWN_UNITS: readonly string[] = ['integration/psync2', 'integration/psync2-reg'];
