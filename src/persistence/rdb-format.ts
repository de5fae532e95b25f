// Numbers of the RDB format, version 10 (Redis 7.0), and the error for a file or payload that is not one. Only
// src/persistence/ and DUMP import this file.

export const RDB_VERSION = 10;
export const CHECKSUM_BYTES = 8;

export const RDB_STRING = 0;
export const RDB_LIST = 1;
export const RDB_SET = 2;
export const RDB_ZSET = 3;
export const RDB_HASH = 4;
export const RDB_ZSET_2 = 5;
export const RDB_MODULE = 6;
export const RDB_MODULE_2 = 7;
export const RDB_HASH_ZIPMAP = 9;
export const RDB_LIST_ZIPLIST = 10;
export const RDB_SET_INTSET = 11;
export const RDB_ZSET_ZIPLIST = 12;
export const RDB_HASH_ZIPLIST = 13;
export const RDB_LIST_QUICKLIST = 14;
export const RDB_STREAM_LISTPACKS = 15;
export const RDB_HASH_LISTPACK = 16;
export const RDB_ZSET_LISTPACK = 17;
export const RDB_LIST_QUICKLIST_2 = 18;
export const RDB_STREAM_LISTPACKS_2 = 19;
/** Redis 7.2: consumers have a time of their latest success too. */
export const RDB_STREAM_LISTPACKS_3 = 21;

export const OPCODE_FUNCTION_2 = 245;
export const OPCODE_FUNCTION_PRE_GA = 246;
export const OPCODE_MODULE_AUX = 247;
export const OPCODE_IDLE = 248;
export const OPCODE_FREQ = 249;
export const OPCODE_AUX = 250;
export const OPCODE_RESIZEDB = 251;
export const OPCODE_EXPIRETIME_MS = 252;
export const OPCODE_EXPIRETIME = 253;
export const OPCODE_SELECTDB = 254;
export const OPCODE_EOF = 255;

/** Encoded strings: the two top bits of the length byte are set. */
export const ENCODED_INT8 = 0;
export const ENCODED_INT16 = 1;
export const ENCODED_INT32 = 2;
export const ENCODED_LZF = 3;

/** Containers of quicklist nodes. */
export const NODE_PLAIN = 1;
export const NODE_PACKED = 2;

/** What is wrong with a dump, and where. */
export class RdbError extends Error {
  readonly code = 'BAD_RDB';
  /** Bytes from the start of the file or payload. */
  readonly offset: number;

  constructor(reason: string, offset: number) {
    super(reason);
    this.name = 'RdbError';
    this.offset = offset;
  }
}

/** Fields of that name and a module's hold commands that bring the module's state back. */
export const MODULE_STATE = 'wiredis-module-';
