// Which commands are outlived, since when and by what, and which are for the server's own use: for COMMAND DOCS.

export interface Deprecation {
  readonly since: string;
  readonly replacedBy: string;
}

const geo = (replacedBy: string): Deprecation => ({ since: '6.2.0', replacedBy });

export const DEPRECATIONS: Readonly<Record<string, Deprecation>> = {
  brpoplpush: { since: '6.2.0', replacedBy: '`BLMOVE` with `RIGHT` and `LEFT`' },
  'cluster|slaves': { since: '5.0.0', replacedBy: '`CLUSTER REPLICAS`' },
  'cluster|slots': { since: '7.0.0', replacedBy: '`CLUSTER SHARDS`' },
  georadius: geo('`GEOSEARCH` and `GEOSEARCHSTORE` with `BYRADIUS`'),
  georadius_ro: geo('`GEOSEARCH` with `BYRADIUS`'),
  georadiusbymember: geo('`GEOSEARCH` and `GEOSEARCHSTORE` with `BYRADIUS` and `FROMMEMBER`'),
  georadiusbymember_ro: geo('`GEOSEARCH` with `BYRADIUS` and `FROMMEMBER`'),
  getset: { since: '6.2.0', replacedBy: '`SET` with `GET`' },
  hmset: { since: '4.0.0', replacedBy: '`HSET` with several fields' },
  rpoplpush: { since: '6.2.0', replacedBy: '`LMOVE` with `RIGHT` and `LEFT`' },
  slaveof: { since: '5.0.0', replacedBy: '`REPLICAOF`' },
  substr: { since: '2.0.0', replacedBy: '`GETRANGE`' },
  zrangebylex: { since: '6.2.0', replacedBy: '`ZRANGE` with `BYLEX`' },
  zrangebyscore: { since: '6.2.0', replacedBy: '`ZRANGE` with `BYSCORE`' },
  zrevrange: { since: '6.2.0', replacedBy: '`ZRANGE` with `REV`' },
  zrevrangebylex: { since: '6.2.0', replacedBy: '`ZRANGE` with `REV` and `BYLEX`' },
  zrevrangebyscore: { since: '6.2.0', replacedBy: '`ZRANGE` with `REV` and `BYSCORE`' },
};

/** Not meant for users. */
export const SYSTEM_COMMANDS: ReadonlySet<string> = new Set([
  'debug',
  'pfdebug',
  'pfselftest',
  'replconf',
  'restore-asking',
]);
