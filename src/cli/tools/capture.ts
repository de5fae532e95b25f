// `wiredis capture`: what tcpdump and dumpcap are for the kernel's stack, for ours, on a running server.
import { BlockReader, BlockSplitter } from '../../../io-engine/capture-file.ts';
import { CommandDecoder, type DecodedCommand } from '../../observe/capture/decode.ts';
import { compileFilter, FilterError } from '../../observe/capture/filter.ts';
import type { AnswerStream } from '../../observe/control-client.ts';
import { onInterrupt } from '../interrupt.ts';
import { CaptureFiles } from '../observe/capture-files.ts';
import { listenToServer, patiently, personsError, SERVER_HELP, SERVER_OPTION } from '../observe/server-option.ts';
import { shortMicroseconds } from '../observe/table.ts';
import { CliError, EXIT_OK, parseOptions, secondsIn, type Tool, UsageError, wholeNumber } from '../tool.ts';

const help = `Usage: wiredis capture FILE [FILTER...] [options]
       wiredis capture --decode [FILTER...] [options]

Captures the frames of a running server's own TCP/IP stack, which tcpdump does not see, into a pcapng FILE ('-': standard
output) until Ctrl-C. Wireshark and tshark open it; each packet's comment says what the stack decided: the number of
the connection (CLIENT LIST's id), why a segment was sent again, why a packet was dropped. The server serves on: what
would hold it up is left out and counted.

FILTER is tcpdump's language: [src|dst] host A, net A/N, port N, portrange A-B, tcp, udp, icmp, icmp6, arp, ip, ip6, vlan [N],
tcp[tcpflags] & (tcp-syn|tcp-fin) != 0, less N, greater N, not, parentheses, and and or, which bind alike, from left to
right. Quote it where the shell would read it.

Options:
  --decode            print Redis commands with their latency, from request frame to reply frame, instead
  --count N           stop after N packets (with --decode: commands)
  --seconds N         stop after N seconds
  --snap N            keep the first N bytes of each frame (default: all)
  --file-size N       begin another file before one grows past N megabytes: FILE-00001, FILE-00002, ...
  --files N           keep the latest N of them
  --port N            --decode: the server's port, where guessing is not enough
  --json              --decode: a line of JSON for each command
${SERVER_HELP}

Examples:
  wiredis capture trouble.pcapng host 10.77.0.2 and port 6379
  wiredis capture ring.pcapng --file-size 100 --files 10 --snap 128
  wiredis capture - 'tcp[tcpflags] & tcp-rst != 0' | tshark -r -
  wiredis capture --decode host 10.77.0.2`;

/** What a timer holds: 24 days. */
const SECONDS_MAX = 2_000_000;

export const capture: Tool = {
  help,
  async run(args: string[]): Promise<number> {
    const { values, positionals } = parseOptions({
      args,
      allowPositionals: true,
      options: {
        decode: { type: 'boolean', default: false },
        count: { type: 'string', default: '0' },
        seconds: { type: 'string', default: '0' },
        snap: { type: 'string', default: '0' },
        'file-size': { type: 'string', default: '0' },
        files: { type: 'string', default: '0' },
        port: { type: 'string', default: '0' },
        json: { type: 'boolean', default: false },
        ...SERVER_OPTION,
      },
    });
    const words = values.decode ? positionals : positionals.slice(1);
    if (!values.decode && positionals.length === 0) throw new UsageError("capture wants a FILE, '-' or --decode");
    const filter = words.join(' ');
    checkFilter(filter);
    const snapLength = wholeNumber(values.snap, 'snap', 0);
    if (values.decode && snapLength > 0) throw new UsageError('--decode needs whole frames: leave --snap out');
    const ring = {
      fileBytesMax: wholeNumber(values['file-size'], 'file-size', 0) * 1_000_000,
      filesMax: wholeNumber(values.files, 'files', 0),
    };
    if (ring.filesMax > 0 && ring.fileBytesMax === 0) throw new UsageError('--files needs --file-size');
    const limits = {
      count: wholeNumber(values.count, 'count', 0),
      milliseconds: secondsIn(values.seconds, 'seconds', 0, SECONDS_MAX),
    };
    const port = wholeNumber(values.port, 'port', 0);
    const taker = values.decode ? new Decoding(port, values.json) : new Writing(new CaptureFiles(positionals[0], ring));
    const stream = await listenToServer(values.server, 'capture', { filter, snapLength });
    return take(stream, taker, limits);
  },
};

function checkFilter(filter: string): void {
  try {
    compileFilter(filter, 1);
  } catch (error) {
    if (error instanceof FilterError) throw new UsageError(error.message);
    throw error;
  }
}

/** What becomes of the packets. */
interface Taker {
  /** Packets or commands so far. */
  readonly count: number;
  block(block: Uint8Array, reader: BlockReader): void;
  /** To stderr, at the end. */
  summary(reader: BlockReader): string;
}

interface Limits {
  /** Of either, 0: none. */
  readonly count: number;
  readonly milliseconds: number;
}

async function take(stream: AnswerStream, taker: Taker, limits: Limits): Promise<number> {
  let isOver = false;
  const stop = (): void => {
    isOver = true;
    stream.end();
  };
  onInterrupt(stop);
  // A reader that has seen enough (`| head`).
  process.stdout.once('error', stop);
  const splitter = new BlockSplitter();
  const reader = new BlockReader();
  try {
    const where = (await patiently(stream.line())) as { readonly interface: string };
    process.stderr.write(`capturing on ${where.interface}\n`);
    if (limits.milliseconds > 0) AbortSignal.timeout(limits.milliseconds).addEventListener('abort', stop);
    let isFull = false;
    for await (const piece of stream.bytes()) {
      for (const block of splitter.push(piece)) {
        if (!isFull) taker.block(block, reader);
        else reader.read(block);
        isFull ||= limits.count > 0 && taker.count >= limits.count;
      }
      if (isFull) stop();
    }
    if (!isOver) process.stderr.write('the server has ended\n');
  } catch (error) {
    if (!(error instanceof CliError && error.code === 'EPIPE')) throw personsError(error);
  } finally {
    process.stdout.off('error', stop);
    stream.close();
  }
  process.stderr.write(`${taker.summary(reader)}\n`);
  return EXIT_OK;
}

class Writing implements Taker {
  count = 0;
  readonly #files: CaptureFiles;

  constructor(files: CaptureFiles) {
    this.#files = files;
  }

  block(block: Uint8Array, reader: BlockReader): void {
    if (reader.read(block) !== null) this.count++;
    this.#files.block(block);
  }

  summary({ dropped }: BlockReader): string {
    this.#files.close();
    const where = this.#files.paths.length > 1 ? ` in ${this.#files.paths.length} files` : '';
    return `${this.count} packets captured${where}, ${dropped} left out to keep the server going`;
  }
}

class Decoding implements Taker {
  count = 0;
  readonly #decoder: CommandDecoder;

  constructor(port: number, asJson: boolean) {
    this.#decoder = new CommandDecoder(port, (command) => {
      this.count++;
      process.stdout.write(`${asJson ? JSON.stringify(command) : commandLine(command)}\n`);
    });
  }

  block(block: Uint8Array, reader: BlockReader): void {
    const packet = reader.read(block);
    if (packet !== null) this.#decoder.packet(packet);
  }

  summary({ dropped }: BlockReader): string {
    return `${this.count} commands, ${dropped} packets left out to keep the server going`;
  }
}

/** `06:40:01.123456  10.77.0.2:40000  84us  GET key  -> "value"`. */
export function commandLine({ unixUs, client, request, reply, latencyUs }: DecodedCommand): string {
  const time = `${new Date(Math.floor(unixUs / 1000)).toISOString().slice(11, 23)}${String(Math.floor(unixUs % 1000)).padStart(3, '0')}`;
  return `${time}  ${client}  ${shortMicroseconds(Math.max(latencyUs, 1)).padStart(7)}  ${request === '' ? '(message)' : request}  -> ${reply}`;
}
