// How long each command of Redis takes, as COMMAND DOCS tells it: the formula alone. For command.ts.

const COMMANDS: readonly (readonly [complexity: string, names: string])[] = [
  [
    'O(1)',
    'acl|cat acl|deluser acl|dryrun acl|genpass acl|help acl|whoami append asking bgrewriteaof bgsave bitfield ' +
      'bitfield_ro blmove brpoplpush client|caching client|getname client|getredir client|help client|id ' +
      'client|info client|no-evict client|pause client|reply client|setname client|tracking client|trackinginfo ' +
      'cluster|bumpepoch cluster|countkeysinslot cluster|failover cluster|flushslots cluster|forget cluster|help ' +
      'cluster|info cluster|meet cluster|myid cluster|replicas cluster|replicate cluster|saveconfig ' +
      'cluster|set-config-epoch cluster|setslot cluster|slaves command|count command|help config|help ' +
      'config|resetstat config|rewrite dbsize decr decrby dump echo expire expireat expiretime failover ' +
      'function|delete function|help function|kill function|load function|stats get getbit getdel getex getset ' +
      'hello hexists hget hincrby hincrbyfloat hlen hscan hset hsetnx hstrlen incr incrby incrbyfloat info ' +
      'lastsave latency|doctor latency|graph latency|help latency|history latency|latest latency|reset llen lmove ' +
      'lpush lpushx memory|doctor memory|help memory|stats module|help module|load module|loadex module|unload ' +
      'move multi object|encoding object|freq object|help object|idletime object|refcount persist pexpire ' +
      'pexpireat pexpiretime pfadd pfcount ping psetex pttl pubsub|help pubsub|numpat quit randomkey readonly ' +
      'readwrite rename renamenx replconf replicaof reset restore restore-asking role rpoplpush rpush rpushx sadd ' +
      'scan scard script|debug script|help script|kill select set setbit setex setnx setrange sismember slaveof ' +
      'slowlog|help slowlog|len smove spop srandmember sscan strlen time ttl type unlink unwatch wait watch xack ' +
      'xadd xautoclaim xdel xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|help xgroup|setid ' +
      'xinfo|consumers xinfo|groups xinfo|help xinfo|stream xlen xsetid zcard zscan zscore',
  ],
  ['O(K)', 'bzmpop zmpop'],
  ['O(L+(N-K)log(N))', 'zdiff zdiffstore'],
  ['O(M)', 'xreadgroup'],
  ['O(M*log(N))', 'zrem'],
  [
    'O(N)',
    'acl|getuser acl|list acl|load acl|log acl|save acl|setuser acl|users auth bitcount bitop bitpos blpop brpop ' +
      'client|kill client|list client|unpause cluster|addslots cluster|addslotsrange cluster|count-failure-reports ' +
      'cluster|delslots cluster|delslotsrange cluster|keyslot cluster|links cluster|nodes cluster|reset ' +
      'cluster|shards cluster|slots command|docs command|getkeys command|getkeysandflags command|info command|list ' +
      'config|get config|set copy del discard exists flushall flushdb function|dump function|flush function|list ' +
      'function|restore geopos getrange hdel hgetall hkeys hmget hmset hrandfield hvals keys latency|histogram ' +
      'lindex linsert lpop lpos lset ltrim memory|malloc-stats memory|purge memory|usage mget migrate module|list ' +
      'mset msetnx pfmerge psubscribe pubsub|channels pubsub|numsub pubsub|shardchannels pubsub|shardnumsub rpop ' +
      'save script|exists script|flush script|load sdiff sdiffstore shutdown slowlog|get slowlog|reset smembers ' +
      'smismember spublish srem ssubscribe subscribe substr sunion sunionstore sunsubscribe swapdb touch ' +
      'unsubscribe xgroup|destroy xpending xrange xread xrevrange xtrim zmscore zrandmember zunion zunionstore',
  ],
  ['O(N*K)', 'zinter zintercard zinterstore'],
  ['O(N*M)', 'lcs sinter sintercard sinterstore'],
  ['O(N+M)', 'blmpop lmpop lrem publish punsubscribe'],
  ['O(N+M*log(M))', 'sort sort_ro'],
  ['O(N+log(M))', 'georadius georadius_ro georadiusbymember georadiusbymember_ro geosearch geosearchstore'],
  ['O(S+N)', 'lrange'],
  ['O(log N)', 'client|unblock xclaim'],
  [
    'O(log(N))',
    'bzpopmax bzpopmin cluster|getkeysinslot geoadd geodist geohash zadd zcount zincrby zlexcount zrank zrevrank',
  ],
  ['O(log(N)*M)', 'zpopmax zpopmin'],
  [
    'O(log(N)+M)',
    'zrange zrangebylex zrangebyscore zrangestore zremrangebylex zremrangebyrank zremrangebyscore zrevrange ' +
      'zrevrangebylex zrevrangebyscore',
  ],
  [
    'that of the subcommand',
    'acl client cluster command config function latency memory module object pubsub script slowlog xgroup xinfo',
  ],
  ['that of what it runs', 'eval eval_ro evalsha evalsha_ro exec fcall fcall_ro'],
];

let complexities: ReadonlyMap<string, string> | null = null;

/** @param name as `command|sub`. @returns undefined for commands of our own and of few others, which have none. */
export function complexityOf(name: string): string | undefined {
  complexities ??= new Map(COMMANDS.flatMap(([complexity, names]) => names.split(' ').map((one) => [one, complexity])));
  return complexities.get(name);
}
