// The commands that README.md and docs/ tell people to type: each line of their `sh` blocks, and what stands inline as code and
// begins with a program. How each is tested is said here: test/lab/docs.test.ts runs them, others are run by the test named,
// and a few cannot be run by any test, with the reason. test/contract/document-commands.test.ts leaves none out.
import { readdirSync, readFileSync } from 'node:fs';

export interface DocumentCommand {
  readonly document: string;
  /** One logical line. */
  readonly text: string;
  /** What stands behind `sh` where its block begins; null: it stands inline. */
  readonly block: string | null;
}

export interface Block {
  readonly kind: string;
  readonly argument: string;
  readonly text: string;
}

export const DOCUMENTS = [
  'README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

export function blocksOf(document: string): Block[] {
  const text = readFileSync(document, 'utf8');
  return [...text.matchAll(/^```(\S*) ?(.*)\n([\s\S]*?)^```$/gm)].map(([, kind, argument, body]) => ({
    kind,
    argument,
    text: body,
  }));
}

const PROGRAM =
  /^(?:[A-Z_]+=\S+ )*(?:(?:sudo )?(?:wiredis|wiredis-server|redis-cli|redis-server|node|npm|npx|ip|ethtool|tc|taskset|strace|perf|systemctl|journalctl|curl|source) |scripts\/)/;

export function commandsOf(document: string): DocumentCommand[] {
  const inBlocks = blocksOf(document)
    .filter(({ kind }) => kind === 'sh')
    .flatMap(({ argument, text }) => linesOf(text).map((line) => ({ document, text: line, block: argument })));
  const prose = readFileSync(document, 'utf8').replaceAll(/^```[\s\S]*?^```$/gm, '');
  const inline = [...prose.matchAll(/`([^`]+)`/g)]
    .map(([, code]) => code.replaceAll(/\s+/g, ' ').trim())
    .filter((code) => PROGRAM.test(code))
    .map((text) => ({ document, text, block: null }));
  return [...inBlocks, ...inline];
}

function linesOf(text: string): string[] {
  return text
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .map((line) => line.replace(/\s*#.*$/, '').trim())
    .filter((line) => line !== '');
}

/** A form to fill in, such as `wiredis move HOST:PORT`, or the name of a tool that wants more: nothing to be run as it stands. */
export function isForm({ text }: DocumentCommand): boolean {
  return /^wiredis (capture|explain|impair|lab)$|\.\.\.|\[[^\]]+\]|(?<![\w$-])[A-Z][A-Z:]+(?![\w=])/.test(text);
}

export type Host = 'server' | 'client' | 'host' | 'start';

/**
 * What test/lab/docs.test.ts runs though it is not in a marked block: README.md's lines in their order, and what stands inline
 * in a document, while the server of its last `sh start` runs.
 */
export const RUN: Readonly<Record<string, Host>> = {
  'node dist/src/cli/wiredis-server.js --netdev netdev.conf --bind 10.77.0.1 --protected-mode no': 'start',
  'redis-cli -h 10.77.0.1': 'client',
  'wiredis lab up': 'host',
  'wiredis lab exec server -- wiredis-server --netdev /run/wiredis-lab/wiredis/netdev.conf --bind 10.77.0.1 --protected-mode no':
    'host',
  'wiredis lab exec client -- redis-cli -h 10.77.0.1': 'host',
  'wiredis lab down': 'host',
  'wiredis-server --core relay --relay-spawn "redis-server /etc/redis/redis.conf" --netdev netdev.conf --protected-mode no':
    'start',
  'wiredis doctor': 'server',
  'wiredis netstat': 'server',
  'wiredis netstat --drops': 'server',
  'source <(wiredis completion bash)': 'host',
};

/** A test that runs it, with a word that stands there; or why no test does. */
export type Elsewhere = { readonly by: string; readonly word: string } | { readonly why: string };

const LONG = (by: string, word: string): Elsewhere => ({ by, word });
const BENCH = LONG('test/lab/bench.test.ts', 'bench');

/** By how the command begins. The options of all of them are held against their programs' own help. */
export const ELSEWHERE: readonly (readonly [start: string, how: Elsewhere])[] = [
  ['scripts/quickstart.sh', { by: 'test/lab/docs.test.ts', word: 'quickstart.sh' }],
  ['scripts/test.sh', { why: 'it is what runs the tests' }],
  ['npm ci', { why: 'scripts/setup.sh does it before the tests' }],
  ['npm pack', { by: 'test/support/package-tarball.ts', word: "'pack'" }],
  ['npm install -g ./wiredis-*.tgz', { by: 'test/contract/package.test.ts', word: 'installGlobally' }],
  ['npm install ./wiredis-*.tgz', { by: 'test/contract/module-guide.test.ts', word: "'node_modules', 'wiredis'" }],
  ['npm link', { why: "it changes npm's own folder; the module guide's test makes the same link" }],
  ['npm run generate', { by: 'test/unit/generated.test.ts', word: 'WIREDIS_GENERATE' }],
  ['npm run bench:micro', { by: 'test/unit/micro.test.ts', word: 'micro' }],
  ['npx vitest run --project unit test/unit/micro.test.ts', { by: 'test/unit/micro.test.ts', word: 'micro' }],
  ['npm run bench:connections', { by: 'test/lab/connections.test.ts', word: 'WIREDIS_CONNECTIONS' }],
  ['npm run bench', BENCH],
  ['wiredis bench', BENCH],
  ['npm run fuzz:frames', { by: 'test/fuzz/frames/frames.test.ts', word: 'frames' }],
  ['wiredis-server --version', { by: 'test/contract/package.test.ts', word: "'--version'" }],
  ['wiredis doctor --netdev /etc/wiredis/netdev.conf', { by: 'test/lab/doctor.test.ts', word: "'--netdev', netdev" }],
  ['sudo wiredis netstat', { by: 'test/lab/tools.test.ts', word: 'netstat' }],
  ['systemctl', { why: 'a service manager is needed; test/lab/service.test.ts plays its part' }],
  ['journalctl', { why: 'a service manager is needed' }],
  ['wiredis completion fish', { by: 'src/cli/completion.test.ts', word: 'fish' }],
  ['wiredis man netstat | man -l -', { by: 'src/cli/completion.test.ts', word: 'man' }],
  ['wiredis top', { by: 'test/contract/top.test.ts', word: 'top' }],
  ['wiredis upgrade', { by: 'test/lab/handover.test.ts', word: "'upgrade'" }],
  ['wiredis move', { by: 'test/lab/handover.test.ts', word: "'move'" }],
  [
    'wiredis-server --netdev netdev.conf --bind 192.0.2.10 --move-listen',
    { by: 'test/lab/handover.test.ts', word: 'move-listen' },
  ],
  ['scripts/handover', { by: 'test/lab/handover.test.ts', word: 'WIREDIS_HANDOVERS' }],
  ['scripts/demo-', { by: 'test/lab/cluster.test.ts', word: 'demo-' }],
  [
    'wiredis-server --core relay --netdev netdev.conf --bind 10.77.3.1',
    { by: 'scripts/demo-cluster.sh', word: '--relay-forward' },
  ],
  ['redis-cli --cluster', { by: 'scripts/demo-cluster.sh', word: '--cluster create' }],
  ['wiredis netstat --relay', { by: 'test/lab/relay.test.ts', word: "'netstat', '--relay'" }],
  [
    'wiredis-server --netdev netdev.conf --bind 10.77.3.',
    { by: 'scripts/demo-sentinel.sh', word: '--min-replicas-to-write' },
  ],
  ['wiredis-server --core relay --workers', { by: 'test/lab/workers.test.ts', word: "'--workers'" }],
  ['wiredis lab up --hosts 6', { by: 'test/lab/lab.test.ts', word: '--hosts' }],
  ['wiredis lab unplug', { by: 'test/lab/lab.test.ts', word: 'plug' }],
  ['wiredis lab up --queues 2', { by: 'test/lab/workers.test.ts', word: 'queues' }],
  ['wiredis doctor --syscalls', { by: 'test/lab/syscalls.test.ts', word: '--syscalls' }],
  ['node dist/src/cli/', { by: 'test/lab/fixture.ts', word: "'cli', 'wiredis-server.js'" }],
  ['node scripts/scaling-model.js', { by: 'test/contract/document-commands.test.ts', word: 'scaling-model.js' }],
  ['scripts/incast.sh', { by: 'test/sim/incast.test.ts', word: 'the table of docs/scaling.md' }],
  ['scripts/install-service.sh', { by: 'test/lab/service.test.ts', word: 'install-service.sh' }],
  ['scripts/lab.sh', { by: 'test/lab/lab.test.ts', word: 'lab' }],
  ['scripts/goodput', { by: 'test/lab/bad-network.test.ts', word: 'goodput' }],
  ['scripts/bench/snapshots.sh', { by: 'src/persistence/big-values.test.ts', word: 'describe' }],
  [
    'scripts/syn-flood.sh',
    { why: 'it measures for minutes on a quiet machine; test/lab/syn-flood.test.ts floods too' },
  ],
  ['scripts/bench/', { why: 'it measures for minutes on a quiet machine' }],
  [
    'scripts/redis-suite.sh',
    { why: "it fetches Redis's own suite and runs for an hour; test/redis/suite.test.ts tests its parts" },
  ],
  ['scripts/client-suites.sh', { why: "it runs the clients' own suites, which are fetched, for minutes" }],
  ['ethtool -k', { by: 'io-engine/ethernet-devices.test.ts', word: "'tso', 'off'" }],
  ['ethtool -L eth1 combined', { why: 'a veth has no combined channels' }],
  ['perf', { why: 'a tool of the reader to look closer with; no step depends on it' }],
  ['WIREDIS_LAB_FULL=1', { by: 'test/lab/syn-flood.test.ts', word: 'no more than' }],
  ['ip addr del', { by: 'test/lab/doctor.test.ts', word: 'ip address del' }],
];
