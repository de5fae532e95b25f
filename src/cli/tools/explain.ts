// `wiredis explain`: what a capture file says about its TCP connections, in words. Any pcap or pcapng will do.
import { type CapturedPacket, readCaptureFile } from '../../../io-engine/capture-file.ts';
import { EngineError } from '../../../io-engine/frame-engine.ts';
import { CommandDecoder } from '../../observe/capture/decode.ts';
import { type ConnectionReport, type DirectionReport, Explainer } from '../../observe/capture/explain.ts';
import { compileFilter, FilterError } from '../../observe/capture/filter.ts';
import { shortBytes, shortMicroseconds } from '../observe/table.ts';
import { CliError, EXIT_OK, parseOptions, type Tool, UsageError, wholeNumber } from '../tool.ts';
import { commandLine } from './capture.ts';

const help = `Usage: wiredis explain FILE [FILTER...] [--stall MS] [--decode] [--json] [--port N]

Reads a capture (pcap or pcapng, from 'wiredis capture', tcpdump or Wireshark) and says of each TCP connection how it began
and ended, what was lost and sent again, and who stalled whom: the server at work, a loss, a reader that was slow. In
captures of ours, what the stack itself decided is counted too.

Options:
  --stall MS   a silence of this many milliseconds in the middle of something is a stall (default 20)
  --decode     print Redis commands with their latency instead
  --port N     the server's port, for connections whose beginning is not in the file
  --json       for programs

Examples:
  wiredis explain trouble.pcapng
  wiredis explain trouble.pcapng --decode host 10.77.0.2`;

export const explain: Tool = {
  help,
  async run(args: string[]): Promise<number> {
    const { values, positionals } = parseOptions({
      args,
      allowPositionals: true,
      options: {
        stall: { type: 'string', default: '20' },
        decode: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        port: { type: 'string', default: '0' },
      },
    });
    const [file, ...words] = positionals;
    if (file === undefined) throw new UsageError('explain wants a capture FILE');
    const stallMs = Number(values.stall);
    if (!(stallMs > 0)) throw new UsageError(`--stall wants milliseconds, not '${values.stall}'`);
    const port = wholeNumber(values.port, 'port', 0);
    if (values.decode) decodeFile(file, words.join(' '), port, values.json);
    else explainFile(file, words.join(' '), stallMs, port, values.json);
    return EXIT_OK;
  },
};

function decodeFile(file: string, filter: string, port: number, json: boolean): void {
  const decoder = new CommandDecoder(port, (command) => print(json ? JSON.stringify(command) : commandLine(command)));
  eachPacket(file, filter, (packet) => decoder.packet(packet));
}

function explainFile(file: string, filter: string, stallMs: number, port: number, json: boolean): void {
  const explainer = new Explainer(stallMs * 1000, port);
  const packets = eachPacket(file, filter, (packet) => explainer.packet(packet));
  const reports = explainer.reports();
  if (json) {
    print(JSON.stringify({ packets, connections: reports }, null, 2));
    return;
  }
  print(`${packets} packets, ${reports.length} TCP connections`);
  for (const report of reports) print(['', ...describe(report)].join('\n'));
}

/** @returns how many. @throws CliError */
function eachPacket(file: string, filter: string, take: (packet: CapturedPacket) => void): number {
  let packets = 0;
  const onCut = (): void => void process.stderr.write(`note: ${file} ends in the middle of a packet\n`);
  const filters = new Map<number, ReturnType<typeof compileFilter>>();
  try {
    compileFilter(filter, 1);
    for (const packet of readCaptureFile(file, onCut)) {
      const { linkType, bytes } = packet;
      const matches = filters.get(linkType) ?? compileFilter(filter, linkType);
      filters.set(linkType, matches);
      if (!matches(bytes, 0, bytes.length)) continue;
      packets++;
      take(packet);
    }
  } catch (error) {
    if (error instanceof FilterError) throw new UsageError(error.message);
    if (error instanceof EngineError) throw new CliError(error.code, error.message);
    throw error;
  }
  return packets;
}

function describe(report: ConnectionReport): string[] {
  const { client, server, began, ended, rttUs, beganUs, endedUs, fromClient, fromServer, stalledUs } = report;
  const start = began === 'handshake' ? `opened, round trip ${shortMicroseconds(rttUs)}` : began;
  const stalls = Object.entries(stalledUs).filter(([, us]) => us > 0);
  return [
    `${client} -> ${server}`,
    `  ${start}; lasted ${shortMicroseconds(endedUs - beganUs)}; ${ended}`,
    `  client: ${direction(fromClient)}`,
    `  server: ${direction(fromServer)}`,
    ...(stalls.length === 0
      ? ['  nobody stalled anybody']
      : [`  stalled by: ${stalls.map(([kind, us]) => `${STALLED_BY[kind]} ${shortMicroseconds(us)}`).join(', ')}`]),
    ...report.stalls.map(
      (stall) => `    ${clock(stall.unixUs)}  ${shortMicroseconds(stall.durationUs).padStart(7)}  ${stall.because}`,
    ),
    ...Object.entries(report.decisions).map(
      ([decision, times]) => `  our stack, ${times === 1 ? 'once' : `${times} times`}: ${decision}`,
    ),
  ];
}

const STALLED_BY: Readonly<Record<string, string>> = {
  server: 'the server at work',
  loss: 'losses',
  window: 'a slow reader',
  acknowledgement: 'slow acknowledgements',
  handshake: 'the handshake',
};

function direction(one: Readonly<DirectionReport>): string {
  const notes = [
    `${one.packets} packets, ${shortBytes(one.bytes)} bytes`,
    one.retransmissions > 0 ? `${one.retransmissions} sent again (${shortBytes(one.retransmittedBytes)})` : '',
    one.lostBefore > 0 ? `${one.lostBefore} lost before the capture and sent again` : '',
    one.timeouts > 0 ? `${one.timeouts} of these after a timeout` : '',
    one.reordered > 0 ? `${one.reordered} out of order` : '',
    one.duplicateAcks > 0 ? `${one.duplicateAcks} duplicate ACKs of it` : '',
    one.zeroWindows > 0 ? `closed its window ${one.zeroWindows} times` : '',
    one.notCaptured > 0 ? `${shortBytes(one.notCaptured)} bytes are not in the capture` : '',
  ];
  return notes.filter((note) => note !== '').join(', ');
}

function clock(unixUs: number): string {
  return new Date(Math.floor(unixUs / 1000)).toISOString().slice(11, 23);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
