// What the server does when keys change, go, or get ready: WATCH, client tracking, waiting clients, keyspace events, and the
// deletions that replicas and the append-only file are told. Only server.ts imports this.
import type { KeyspaceHooks } from './keyspace.ts';
import { NOTIFY_KEYEVENT, NOTIFY_KEYSPACE } from './notify-flags.ts';
import type { Server } from './server.ts';

export function keyspaceHooks(server: Server): KeyspaceHooks {
  return {
    keyModified: (db, bytes, offset, length) => {
      if (server.watches.size > 0) server.watches.touch(db, bytes, offset, length);
      if (server.tracking.active) server.tracking.keyModified(bytes, offset, length);
    },
    keyReady: (db, _type, bytes, offset, length) => {
      if (server.blocking.size > 0) server.blocking.keyReady(db.index, bytes, offset, length);
    },
    keyDeleted: (db, bytes, offset, length) => server.blocking.keyReady(db.index, bytes, offset, length),
    keyExpired: (db, bytes, offset, length) => {
      if (server.propagation.wanted === 0) return;
      const name = server.config.lazyfreeLazyExpire ? 'UNLINK' : 'DEL';
      server.propagation.command(db.index, name, bytes.subarray(offset, offset + length));
    },
    keyEvent: (_class, event, db, bytes, offset, length) => {
      if (server.pubsub.hasListeners) notify(server, event, db.index, bytes, offset, length);
    },
    databaseEmptied: (index) => {
      server.keyspace.victims?.emptied(index);
      if (server.tracking.active) server.tracking.flushed();
      if (server.blocking.size > 0) server.blocking.databaseChanged(index);
      for (const db of index < 0 ? server.databases : [server.databases[index]])
        server.watches.databaseChanged(db, null);
    },
    databasesSwapped: (a, b) => {
      server.keyspace.victims?.swapped(a, b);
      for (const [from, to] of [
        [a, b],
        [b, a],
      ]) {
        if (server.blocking.size > 0) server.blocking.databaseChanged(from);
        server.watches.databaseChanged(server.databases[from], server.databases[to]);
      }
    },
  };
}

/** A keyspace event to those who listen: the event on the key's channel, the key on the event's. */
function notify(server: Server, event: string, db: number, bytes: Uint8Array, offset: number, length: number): void {
  const flags = server.keyspace.notifyFlags;
  const { pubsub, push } = server;
  if ((flags & NOTIFY_KEYSPACE) !== 0) {
    const key = Buffer.from(bytes.buffer, bytes.byteOffset + offset, length).toString('latin1');
    const text = Buffer.from(event, 'latin1');
    pubsub.publish(push, `__keyspace@${db}__:${key}`, false, text, 0, text.length);
  }
  if ((flags & NOTIFY_KEYEVENT) !== 0) {
    pubsub.publish(push, `__keyevent@${db}__:${event}`, false, bytes, offset, length);
  }
}
