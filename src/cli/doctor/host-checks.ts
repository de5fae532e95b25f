// What the machine and this process have to bring along: Node, privileges, memory that may be locked, a clock.
import { readFileSync } from 'node:fs';
import { layOut } from '../../../io-engine/linux/xsk-memory.ts';
import type { EngineChoice } from '../../../io-engine/options.ts';
import { asRoot, type Check, type Finding, fail, pass, warn, writeCommand } from './check.ts';
import { packages } from './packages.ts';
import type { Situation } from './situation.ts';

const NODE_MIN = [20, 19] as const;

const node: Check = {
  name: 'node',
  look() {
    const [major, minor] = process.versions.node.split('.').map(Number);
    const what = `Node ${process.versions.node} on ${process.platform} ${process.arch}`;
    if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
      return fail(`${what}: wiredis is for Linux on x64 and arm64`);
    }
    if (major < NODE_MIN[0] || (major === NODE_MIN[0] && minor < NODE_MIN[1])) {
      return fail(`${what}: ${NODE_MIN.join('.')} or later is needed, from https://nodejs.org`);
    }
    return pass(what);
  },
};

// --- privileges ---

/** linux/capability.h */
const CAP_NET_BIND_SERVICE = 10;
const CAP_NET_ADMIN = 12;
const CAP_NET_RAW = 13;
const CAP_IPC_LOCK = 14;
const CAP_SYS_ADMIN = 21;
const CAP_BPF = 39;

const NAMES: Readonly<Record<number, string>> = {
  [CAP_NET_BIND_SERVICE]: 'cap_net_bind_service',
  [CAP_NET_ADMIN]: 'cap_net_admin',
  [CAP_NET_RAW]: 'cap_net_raw',
  [CAP_BPF]: 'cap_bpf',
};

const NEEDED: Readonly<Record<EngineChoice, readonly number[]>> = {
  auto: [CAP_NET_RAW],
  afxdp: [CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF],
  afpacket: [CAP_NET_RAW],
  pcap: [CAP_NET_RAW],
  tap: [CAP_NET_ADMIN],
  raw: [CAP_NET_RAW],
};

function capabilities(): bigint {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return BigInt(`0x${effective?.[1] ?? '0'}`);
}

function has(capability: number): boolean {
  const all = capabilities();
  const bit = (one: number): boolean => ((all >> BigInt(one)) & 1n) === 1n;
  return bit(capability) || (capability === CAP_BPF && bit(CAP_SYS_ADMIN));
}

/** Capabilities of a user namespace of one's own are good for its own interfaces, not for bpf(2). */
function isInUserNamespace(): boolean {
  return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'));
}

function missing(engine: EngineChoice): string[] {
  return NEEDED[engine].filter((one) => !has(one)).map((one) => NAMES[one]);
}

function grantCommand(names: readonly string[]): string {
  return asRoot(`setcap ${names.join(',')},cap_ipc_lock+ep ${process.execPath}`);
}

const privileges: Check = {
  name: 'privileges',
  look({ server, config, engine, info, options }) {
    if (server !== null) return null;
    if (options.transport === 'kernel') return bindPrivilege(options.port);
    if (config === null) return null;
    // A tap device that exists and has no owner is anybody's.
    const names = engine === 'tap' && info !== null ? [] : missing(engine);
    if (names.length > 0) {
      return fail(
        `engine ${engine} needs ${names.join(', ')}: run as root, as a service, or give them to Node`,
        grantCommand(engine === 'auto' ? missing('afxdp') : names),
      );
    }
    const better = engine === 'auto' ? missing('afxdp') : [];
    if (better.length > 0) {
      return warn(
        `enough for afpacket; afxdp, which is faster, needs ${better.join(', ')}`,
        grantCommand(['cap_net_raw', ...better]),
      );
    }
    if (isInUserNamespace() && (engine === 'auto' || engine === 'afxdp')) {
      const text = 'this is a user namespace: XDP programs cannot be loaded here, afpacket and pcap can be used';
      return engine === 'afxdp' ? fail(text) : warn(text);
    }
    return pass(`enough for engine ${engine}`);
  },
};

const PRIVILEGED_PORTS_END = 1024;

function bindPrivilege(port: number) {
  if (port >= PRIVILEGED_PORTS_END || has(CAP_NET_BIND_SERVICE)) return pass(`enough for port ${port}`);
  return fail(`ports below ${PRIVILEGED_PORTS_END} need cap_net_bind_service`, grantCommand(['cap_net_bind_service']));
}

// --- memory ---

const DEFAULT_MTU = 1500;

/** What the kernel locks for AF_XDP's frames, bytes. */
function lockedBytes({ config, info }: Situation): number {
  if (config === null) return 0;
  const { mtu, rxRing, txRing } = config.engine;
  return layOut(mtu || (info?.mtu ?? DEFAULT_MTU), rxRing, txRing).umemLength;
}

const memlock: Check = {
  name: 'memlock',
  look(situation) {
    if (situation.server !== null || !situation.mayUse('afxdp')) return null;
    if (has(CAP_IPC_LOCK)) return pass('memory may be locked without limit (cap_ipc_lock)');
    const [, limit, hard] = /^Max locked memory\s+(\S+)\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    const needed = lockedBytes(situation);
    if (limit === 'unlimited' || Number(limit) >= needed)
      return pass(`${limit} bytes may be locked, ${needed} are needed`);
    const text = `afxdp locks ${needed >> 10} KiB for frames, the limit is ${Number(limit) >> 10} KiB`;
    const raise =
      hard === 'unlimited' || Number(hard) >= needed
        ? `ulimit -l ${Math.ceil(needed / 1024)}`
        : asRoot(`prlimit --pid $$ --memlock=${needed}:${needed}`);
    return situation.engine === 'afxdp' ? fail(text, raise) : warn(text, raise);
  },
};

// --- clock ---

const CLOCK = '/sys/devices/system/clocksource/clocksource0';
/** Each reading of these is a system call and a slow bus access. */
const SLOW_CLOCKS = ['hpet', 'acpi_pm', 'pit', 'jiffies', 'refined-jiffies'];

const clock: Check = {
  name: 'clock',
  look() {
    const read = (name: string): string => {
      try {
        return readFileSync(`${CLOCK}/${name}`, 'utf8').trim();
      } catch {
        return '';
      }
    };
    const current = read('current_clocksource');
    if (current === '') return null;
    if (!SLOW_CLOCKS.includes(current)) return pass(`clock source ${current}`);
    const better = read('available_clocksource')
      .split(' ')
      .find((one) => !SLOW_CLOCKS.includes(one));
    const text = `clock source ${current} is slow, and time is read in every tick`;
    return better === undefined ? warn(text) : warn(text, writeCommand(`${CLOCK}/current_clocksource`, better));
  },
};

// --- BPF ---

const JIT = '/proc/sys/net/core/bpf_jit_enable';

/** @param setting what the kernel's file says; empty: it is not to be seen here. */
export function jitFinding(setting: string): Finding | null {
  if (setting === '') return null;
  if (setting !== '0') return pass('the kernel compiles BPF programs');
  const text = 'the kernel interprets BPF programs (bpf_jit_enable is 0): afxdp runs one for every frame';
  return warn(text, asRoot('sysctl -w net.core.bpf_jit_enable=1'));
}

const jit: Check = {
  name: 'BPF JIT',
  look(situation) {
    if (!situation.mayUse('afxdp')) return null;
    try {
      return jitFinding(readFileSync(JIT, 'utf8').trim());
    } catch {
      // The first network namespace alone has it, and root alone may read it.
      return null;
    }
  },
};

export const hostChecks: readonly Check[] = [node, privileges, packages, memlock, clock, jit];
