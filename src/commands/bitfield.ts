// BITFIELD and BITFIELD_RO: integers of 1 to 64 bits at any place in a string, with a choice of what happens when one
// overflows. All words are checked before anything is written. bitmap.ts lists the commands.
import type { Call } from '../core/call.ts';
import { NOT_AN_INTEGER } from '../core/errors.ts';
import { keyModified, readString, WRONG } from '../core/lookup.ts';
import { NOTIFY_STRING } from '../core/notify-flags.ts';
import { readBits, writeBits } from '../data/bits.ts';
import { parseBigInteger } from '../data/integer.ts';
import { bitOffset, stringWithBit } from './bitmap-strings.ts';

const BAD_TYPE = 'ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.';

const INT64_MAX = 2n ** 63n - 1n;

type Overflow = 'wrap' | 'sat' | 'fail';

interface Operation {
  readonly kind: 'get' | 'set' | 'incrby';
  readonly signed: boolean;
  readonly width: number;
  readonly position: number;
  /** SET's value or INCRBY's increment. */
  readonly operand: bigint;
  readonly overflow: Overflow;
}

export function bitfield(call: Call): void {
  run(call, false);
}

export function bitfieldReadOnly(call: Call): void {
  run(call, true);
}

function run(call: Call, readOnly: boolean): void {
  const operations = parse(call);
  if (operations === null) return;
  const written = operations.filter((operation) => operation.kind !== 'get');
  if (written.length === 0) {
    const entry = readString(call, 1);
    if (entry !== WRONG) apply(call, operations, entry, false);
  } else if (readOnly) {
    call.reply.error('ERR BITFIELD_RO only supports the GET subcommand');
  } else {
    const last = Math.max(...written.map((operation) => operation.position + operation.width - 1));
    const string = stringWithBit(call, last);
    if (string !== null) apply(call, operations, string.entry, string.changed);
  }
}

/** @returns null after an error was replied. */
function parse(call: Call): Operation[] | null {
  const operations: Operation[] = [];
  let overflow: Overflow = 'wrap';
  for (let i = 2; i < call.argc; ) {
    const rest = call.argc - i - 1;
    if (call.is(i, 'overflow') && rest >= 1) {
      const named = (['wrap', 'sat', 'fail'] as const).find((name) => call.is(i + 1, name));
      if (named === undefined) {
        call.reply.error('ERR Invalid OVERFLOW type specified');
        return null;
      }
      overflow = named;
      i += 2;
      continue;
    }
    const kind = kindOf(call, i, rest);
    if (kind === null) {
      call.syntaxError();
      return null;
    }
    const operation = parseOperation(call, i, kind, overflow);
    if (operation === null) return null;
    operations.push(operation);
    i += kind === 'get' ? 3 : 4;
  }
  return operations;
}

function kindOf(call: Call, i: number, rest: number): Operation['kind'] | null {
  if (call.is(i, 'get') && rest >= 2) return 'get';
  if (call.is(i, 'set') && rest >= 3) return 'set';
  return call.is(i, 'incrby') && rest >= 3 ? 'incrby' : null;
}

function parseOperation(call: Call, i: number, kind: Operation['kind'], overflow: Overflow): Operation | null {
  const match = /^([iu])([1-9][0-9]?)$/.exec(call.latin1(i + 1));
  const signed = match?.[1] === 'i';
  const width = match === null ? 0 : Number(match[2]);
  if (width < 1 || width > (signed ? 64 : 63)) {
    call.reply.error(BAD_TYPE);
    return null;
  }
  const position = bitOffset(call, i + 2, width);
  if (Number.isNaN(position)) return null;
  let operand: bigint | null = 0n;
  if (kind !== 'get') {
    operand = parseBigInteger(call.bytes, call.offsets[i + 3], call.lengths[i + 3]);
    if (operand === null) {
      call.reply.error(NOT_AN_INTEGER);
      return null;
    }
  }
  return { kind, signed, width, position, operand, overflow };
}

function apply(call: Call, operations: readonly Operation[], entry: number, grown: boolean): void {
  const { db, reply } = call;
  const bytes = db.bytesOf(entry);
  const base = entry === 0 ? 0 : db.valueOffset(entry);
  const end = entry === 0 ? 0 : base + db.valueLength(entry);
  let changes = 0;
  reply.array(operations.length);
  for (const operation of operations) {
    const { kind, signed, width, position, operand } = operation;
    const bits = readBits(bytes, base, end, position, width);
    const old = signed ? BigInt.asIntN(width, bits) : bits;
    if (kind === 'get') {
      reply.bigInteger(old);
      continue;
    }
    const wanted = kind === 'set' ? fitted(operation, operand) : fitted(operation, old + operand);
    if (wanted === null) {
      reply.null();
      continue;
    }
    reply.bigInteger(kind === 'set' ? old : wanted);
    db.beforeWrite(entry, Math.floor(position / 8), Math.floor((position + width - 1) / 8) + 1);
    writeBits(bytes, base, position, width, wanted);
    if (grown || old !== wanted) changes++;
  }
  if (changes === 0) return;
  keyModified(call, 1, NOTIFY_STRING, 'setbit');
  call.server.dirty += changes - 1;
}

/** The value as the field can hold it; null: it cannot, and OVERFLOW says FAIL. */
function fitted({ signed, width, kind, overflow }: Operation, value: bigint): bigint | null {
  const size = BigInt(width);
  const max = signed ? (1n << (size - 1n)) - 1n : (1n << size) - 1n;
  const min = signed ? -max - 1n : 0n;
  if (value >= min && value <= max) return value;
  if (overflow === 'fail') return null;
  if (overflow === 'wrap') return signed ? BigInt.asIntN(width, value) : BigInt.asUintN(width, value);
  // Redis takes the largest value less this one in 64 bits: far below, that is negative, and counts as too much.
  if (signed && kind === 'set' && max - value > INT64_MAX) return max;
  // To an unsigned field a negative value of SET is a huge one.
  return value > max || (!signed && kind === 'set') ? max : min;
}
