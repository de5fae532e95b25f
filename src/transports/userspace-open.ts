// From netdev.conf to a transport over our own stack: opens the interface, sees to it that nobody else has our addresses
// and gets one from DHCP if told so; or goes on with an interface that another process has opened. The composition
// root and src/net import it, only when there is to be such a transport.
import { readFileSync } from 'node:fs';
import { adoptEngine } from '../../io-engine/adopt.ts';
import type { HandedEngine } from '../../io-engine/frame-engine.ts';
import { openEngine, type SharedInterface, shareInterface } from '../../io-engine/open.ts';
import type { EngineChoice, EngineShare } from '../../io-engine/options.ts';
import type { Conflict } from '../../stack/claim.ts';
import { parseNetdevConf, type StackConfig } from '../../stack/config.ts';
import type { Dhcp } from '../../stack/dhcp.ts';
import { formatMac } from '../../stack/wire/ethernet.ts';
import type { Log } from '../platform/log.ts';
import type { Scheduler } from '../platform/timers.ts';
import { TransportError } from './transport.ts';
import { type UserspaceParts, UserspaceTransport } from './userspace.ts';
import { watchLink } from './userspace-link.ts';
import { AddressSeat } from './userspace-seat.ts';

export interface UserspaceSettings extends Omit<UserspaceParts, 'engine' | 'config' | 'claims' | 'suspended'> {
  readonly log: Log;
  /** Path of netdev.conf. */
  readonly netdevFile: string;
  /** `auto`: what netdev.conf says. */
  readonly engine: EngineChoice;
  /** Keys of netdev.conf that are other than the file has them. */
  readonly overrides?: readonly (readonly [key: string, value: string])[];
  /** Others serve the same addresses: which one we are. */
  readonly share?: EngineShare;
}

/**
 * Reads netdev.conf, opens its interface and starts the stack on it.
 * @throws NetdevConfigError, EngineError or TransportError whose message is one line that says what to do.
 */
export async function openUserspace(settings: UserspaceSettings): Promise<UserspaceTransport> {
  const { log } = settings;
  const config = readConfig(settings);
  const { share } = settings;
  const shared = share === undefined ? config.engine : { ...config.engine, share };
  // Of several, one asks for all.
  const isFirst = share === undefined || share.index === 0;
  const seat = isFirst ? await AddressSeat.take(config) : null;
  const engine = await openEngine(shared, (line) => log.notice(line)).catch((error: unknown) => {
    seat?.close();
    throw error;
  });
  let closeLink = (): void => {};
  const onClosed = (): void => {
    seat?.close();
    closeLink();
  };
  const { link } = engine;
  const asks = config.addressCheckMs > 0 && isFirst;
  const transport = new UserspaceTransport({ ...settings, engine, config, claims: asks, onClosed });
  const { ip } = transport.stack;
  const addresses = ip.addressTexts().join(', ');
  log.notice(`User-space TCP/IP on ${link.name}: engine ${engine.name}, ${addresses}, mtu ${link.mtu}`);
  closeLink = watchLink(transport, engine, settings);
  logConflicts(transport, log);
  if (asks) await claimAddresses(transport, config.addressCheckMs);
  if (ip.dhcp !== null) await leaseAddress(transport, ip.dhcp, settings);
  return transport;
}

/**
 * What several processes need before each opens the interface as its share. @throws as `openUserspace`, and TransportError
 * EINVAL for what only one process can do.
 */
export function openSharedInterface(
  settings: Pick<UserspaceSettings, 'netdevFile' | 'engine' | 'log'>,
  workers: number,
): SharedInterface {
  const { netdevFile, log } = settings;
  const config = readConfig(settings);
  if (config.dhcp || config.ipv6 !== null) {
    throw new TransportError('EINVAL', `several workers want fixed IPv4 addresses, and those only, in ${netdevFile}`);
  }
  return shareInterface(config.engine, workers, (line) => log.notice(line));
}

/**
 * Reads netdev.conf now, so that what is wrong with it shows, and goes on later with what another process has opened.
 * @returns what makes the transport, which stands still until it is told to `resume`.
 */
export function prepareAdoption(settings: UserspaceSettings): (handed: HandedEngine) => UserspaceTransport {
  const config = readConfig(settings);
  const { log } = settings;
  return (handed) => {
    const engine = adoptEngine(handed, config.engine);
    const giveSeatBack = takeSeatLater(config, settings.scheduler);
    let closeLink = (): void => {};
    const onClosed = (): void => {
      giveSeatBack();
      closeLink();
    };
    const transport = new UserspaceTransport({ ...settings, engine, config, suspended: true, onClosed });
    closeLink = watchLink(transport, engine, settings);
    logConflicts(transport, log);
    const { dhcp } = transport.stack.ip;
    if (dhcp !== null) logLease(transport, dhcp, log);
    return transport;
  };
}

/** How often to look whether the process before this one has gone. */
const SEAT_AGAIN_MS = 500;

/** @returns gives it back. */
function takeSeatLater(config: StackConfig, scheduler: Scheduler): () => void {
  let seat: AddressSeat | null = null;
  const take = (): void => {
    AddressSeat.take(config).then(
      (taken) => {
        seat = taken;
      },
      () => again.arm(SEAT_AGAIN_MS),
    );
  };
  const again = scheduler.createAlarm(take, true);
  again.arm(SEAT_AGAIN_MS);
  return () => {
    again.disarm();
    seat?.close();
  };
}

/**
 * Opens the interface for a transport that stands still, silent, until it takes another host's place.
 * @throws as `openUserspace`.
 */
export async function openWaiting(settings: UserspaceSettings): Promise<UserspaceTransport> {
  const { log } = settings;
  const config = readConfig(settings);
  if (config.dhcp)
    throw new TransportError(
      'EINVAL',
      "taking another host's place wants the address that it has, not 'address = dhcp'",
    );
  const engine = await openEngine(config.engine, (line) => log.notice(line));
  let closeLink = (): void => {};
  const onClosed = (): void => closeLink();
  const transport = new UserspaceTransport({ ...settings, engine, config, suspended: true, onClosed });
  log.notice(`User-space TCP/IP on ${engine.link.name}: engine ${engine.name}, waiting`);
  closeLink = watchLink(transport, engine, settings);
  logConflicts(transport, log);
  return transport;
}

function readConfig({
  netdevFile,
  engine,
  overrides = [],
}: Pick<UserspaceSettings, 'netdevFile' | 'engine' | 'overrides'>): StackConfig {
  const chosen: readonly (readonly [string, string])[] = engine === 'auto' ? [] : [['engine', engine]];
  return parseNetdevConf(readNetdevConf(netdevFile), netdevFile, [...chosen, ...overrides]);
}

function readNetdevConf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'EIO';
    throw new TransportError(code, `cannot read ${path} (${code}): name your netdev.conf with --netdev FILE`);
  }
}

// --- DHCP ---

/** How long a DHCP server may take before the start fails. */
const LEASE_WAIT_MS = 30_000;

/** Waits for an address, and goes on telling what becomes of it. @throws TransportError ETIMEDOUT. */
async function leaseAddress(
  transport: UserspaceTransport,
  dhcp: Dhcp,
  { log, scheduler }: UserspaceSettings,
): Promise<void> {
  const bound = await new Promise<boolean>((resolve) => {
    const deadline = scheduler.createAlarm(() => resolve(false));
    deadline.arm(LEASE_WAIT_MS);
    logLease(transport, dhcp, log, () => {
      deadline.disarm();
      resolve(true);
    });
    log.notice('DHCP: asking for an address');
    dhcp.start();
    transport.tick();
  });
  if (bound) return;
  await transport.close(0);
  throw new TransportError(
    'ETIMEDOUT',
    `no DHCP server gave an address within ${LEASE_WAIT_MS / 1000} s: is there one on this network? ` +
      `Otherwise set 'address' in netdev.conf`,
  );
}

/** Tells what becomes of the address that a DHCP server gives. @param bound told when there is one. */
function logLease(transport: UserspaceTransport, dhcp: Dhcp, log: Log, bound: () => void = () => {}): void {
  const { ip, tcp } = transport.stack;
  dhcp.onLost = (address, why) => {
    log.warning(`DHCP: ${ip.format(address)} is not ours any more: ${why}`);
    tcp.endAll(address);
  };
  dhcp.onBound = ({ ip: address, prefixLength, server, seconds }) => {
    log.notice(`DHCP: ${ip.format(address)}/${prefixLength} from ${ip.format(server)} for ${seconds} s`);
    bound();
  };
}

// --- others with our addresses ---

/** @throws TransportError EADDRINUSE when another host has one of our addresses; the transport is closed then. */
async function claimAddresses(transport: UserspaceTransport, totalMs: number): Promise<void> {
  const conflict = await new Promise<Conflict | null>((done) => transport.stack.claim(totalMs, done));
  if (conflict === null) return;
  await transport.close(0);
  throw new TransportError(
    'EADDRINUSE',
    `the address is taken: ${owner(transport, conflict)}; choose another 'address' in netdev.conf, or stop that host`,
  );
}

function logConflicts(transport: UserspaceTransport, log: Log): void {
  transport.stack.ip.onConflict = (conflict) =>
    log.warning(`Another host uses our address: ${owner(transport, conflict)}`);
}

function owner(transport: UserspaceTransport, { ip, mac }: Conflict): string {
  return `${transport.stack.ip.format(ip)} is at ${formatMac(mac, 0)}`;
}
