// One run of a script or function: on whose behalf, what it may do, and what has become of it. The checks that its
// commands must pass are here. Anyone in src/scripting imports it.
import { ALLOWED } from '../core/acl/permission.ts';
import { refusalInScript } from '../core/acl/refusals.ts';
import type { Call } from '../core/call.ts';
import { type Client, GATE_ACL } from '../core/client.ts';
import {
  type Command,
  FLAG_DENYOOM,
  FLAG_MAY_REPLICATE,
  FLAG_NOSCRIPT,
  FLAG_STALE,
  FLAG_WRITE,
} from '../core/command-table.ts';
import { OUT_OF_MEMORY } from '../core/errors.ts';
import type { Server } from '../core/server.ts';
import { NO_REPLICAS } from '../replication/replication.ts';
import { ALLOW_OOM, ALLOW_STALE, NO_WRITES, UNDECLARED } from './script-flags.ts';

const STALE =
  "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag is not set on the script.";
const READ_ONLY_REPLICA = 'READONLY Can not run script with write flag on readonly replica';

export class ScriptRun {
  readonly server: Server;
  /** The client its commands run as. */
  readonly client: Client;
  /** The call of EVAL, FCALL or their like. */
  call!: Call;
  /** The SHA-1 of a script, the name of a function. */
  name = '';
  /** EVAL rather than FCALL. */
  isEval = false;
  /** Has called a command that writes: it can neither be refused nor killed any more. */
  wrote = false;
  /** Longer than `busy-reply-threshold`: others are served meanwhile. */
  timedOut = false;
  killed = false;
  /** Stopwatch's microseconds. */
  startedUs = 0;
  /** A copy of the call's words, once others may ask for them. */
  words: Uint8Array[] = [];
  #readOnly = false;
  #allowOom = false;
  #outOfMemory = false;

  constructor(server: Server, client: Client) {
    this.server = server;
    this.client = client;
  }

  /** @param readOnly for EVAL_RO and its like. @returns why the script may not run, or null. */
  prepare(call: Call, name: string, isEval: boolean, flags: number, readOnly: boolean): string | null {
    const { client, server } = this;
    const outOfMemory = server.config.maxmemory > 0 && !client.obeyed && !server.makeRoom();
    const declared = (flags & UNDECLARED) === 0;
    const refusal = declared ? this.#refusal(call, flags, readOnly, outOfMemory) : null;
    if (refusal !== null) return refusal;
    this.call = call;
    this.name = name;
    this.isEval = isEval;
    this.wrote = false;
    this.timedOut = false;
    this.killed = false;
    this.startedUs = server.stopwatch();
    this.#readOnly = readOnly || (declared && (flags & NO_WRITES) !== 0);
    this.#allowOom = declared && (flags & ALLOW_OOM) !== 0;
    this.#outOfMemory = outOfMemory;
    client.caller = call.client;
    client.callerCall = call;
    client.db = call.client.db;
    client.protocol = 2;
    client.user = call.client.user;
    client.updateGate();
    return null;
  }

  #refusal(call: Call, flags: number, readOnly: boolean, outOfMemory: boolean): string | null {
    const { server } = this;
    const { replication } = server;
    if (replication.isStale && (flags & ALLOW_STALE) === 0) return STALE;
    if ((flags & NO_WRITES) === 0) {
      if (replication.isReplica && server.config.replicaReadOnly && !call.client.obeyed) return READ_ONLY_REPLICA;
      if (server.diskError !== null && !call.client.obeyed) return diskRefusal(server.diskError);
      if (readOnly) return 'ERR Can not execute a script with write flag using *_ro command.';
      if (replication.tooFewReplicas) return NO_REPLICAS;
    }
    if (outOfMemory && (flags & (ALLOW_OOM | NO_WRITES)) === 0) {
      return "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'";
    }
    return null;
  }

  end(): void {
    this.client.caller = null;
    this.client.callerCall = null;
    this.words = [];
  }

  /** What a command needs to be called by this script. */
  readonly check = (call: Call, command: Command): string | null => {
    const { flags } = command;
    const { client, server } = this;
    if ((flags & FLAG_NOSCRIPT) !== 0 && !server.debug.scriptsRunAll) {
      return 'ERR This Redis command is not allowed from script';
    }
    if ((client.gate & GATE_ACL) !== 0) {
      const denied = server.acl.admit(this.call.client, command.spec, call, 'lua');
      if (denied !== ALLOWED) return refusalInScript(denied);
    }
    if (this.#readOnly && (flags & (FLAG_WRITE | FLAG_MAY_REPLICATE)) !== 0) {
      return 'ERR Write commands are not allowed from read-only scripts.';
    }
    if (server.replication.isStale && (flags & FLAG_STALE) === 0) {
      return 'ERR Can not execute the command on a stale replica';
    }
    if (this.wrote) return null;
    if ((flags & FLAG_WRITE) !== 0) {
      const refusal = server.dispatcher.writeRefusal(this.call.client);
      if (refusal !== null) return refusal;
    }
    if (this.#outOfMemory && !this.#allowOom && (flags & FLAG_DENYOOM) !== 0) return OUT_OF_MEMORY;
    if ((flags & FLAG_WRITE) !== 0) this.wrote = true;
    return null;
  };

  get durationMs(): number {
    return Math.floor((this.server.stopwatch() - this.startedUs) / 1000);
  }
}

/** @param error what a command that writes would be told. */
function diskRefusal(error: string): string {
  const aof = /^MISCONF Errors writing to the AOF file: (.*)$/.exec(error);
  const target = aof === null ? 'save RDB snapshots' : 'persist data to AOF';
  const problem = aof === null ? '' : ` AOF error: ${aof[1]}`;
  return (
    `MISCONF Redis is configured to ${target}, but it's currently unable to persist to disk. ` +
    `Writable scripts are blocked. Use 'no-writes' flag for read only scripts.${problem}`
  );
}
