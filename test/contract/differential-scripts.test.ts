// Scripts and functions beside redis-server 7.0.15: every conversion in both directions, the sandbox, error texts with
// their lines, and cjson, cmsgpack, struct and bit with many values. Replies are compared byte for byte.
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../src/platform/random.ts';
import { redisInstalled } from '../support/redis-server.ts';
import { serverPair } from '../support/server-pair.ts';

const SCRIPTS: readonly string[] = [
  // Lua to reply.
  'return 1',
  'return -1.9',
  'return 1e15',
  'return 2^53',
  'return -(2^63)',
  'return 2^70',
  'return 0/0',
  'return nil',
  'return true',
  'return false',
  'return "a\\0b\\255"',
  'return {1, 2, nil, 3}',
  'return {1, {2, {3, "x"}}, false, true}',
  'return {}',
  'return {ok="fine"}',
  'return {ok="two\\r\\nlines"}',
  'return {err="ERR broken"}',
  'return {err="NOCODE"}',
  'return {err="My Error\\r\\n"}',
  'return {double=3.5}',
  'return {double=1/0}',
  'return {big_number="123456789012345678901234567890"}',
  'return {big_number="12\\r\\n34"}',
  'return {verbatim_string={string="text", format="txt"}}',
  'return {verbatim_string={string="text"}}',
  'return {map={a=1}}',
  'return {set={a=true}}',
  'return {map={a={map={b=2}}}}',
  'redis.setresp(3) return {true, false}',
  'redis.setresp(3) return redis.call("hgetall", "hash")',
  'redis.setresp(3) return redis.call("smembers", "set")',
  'redis.setresp(3) return redis.call("zscore", "zset", "m")',
  'redis.setresp(3) return redis.call("get", "missing")',
  'redis.setresp(3) local r = redis.call("hgetall", "hash") return {type(r.map), r.map.f}',
  'redis.setresp(3) local r = redis.call("zscore", "zset", "m") return {type(r), r.double == 1.5}',
  'redis.setresp(3) return redis.call("debug", "protocol", "verbatim")',
  'return function() end',
  'return coroutine.create(function() end)',
  // Reply to Lua.
  'return redis.call("get", "string")',
  'return redis.call("get", "missing")',
  'return type(redis.call("get", "missing"))',
  'return redis.call("lrange", "list", 0, -1)',
  'return redis.call("hgetall", "hash")',
  'return redis.call("set", "tmp", "1").ok',
  'return redis.call("incr", "number")',
  'return redis.call("zscore", "zset", "m")',
  'return redis.call("mget", "string", "missing", "number")',
  'return redis.call("type", "list")',
  'return redis.pcall("incr", "string")',
  'return redis.pcall("incr", "string").err',
  'return redis.pcall("nosuch")',
  'return redis.pcall("get")',
  'return redis.pcall("config", "nosuch")',
  'return redis.call("incr", "string")',
  '\n\nreturn redis.call("incr", "string")',
  'local function f() return redis.call("incr", "string") end\nreturn f()',
  'return redis.call("lpush", "string", 1)',
  'return redis.call("nosuch")',
  'return redis.call("get")',
  'return redis.call("get", {})',
  'return redis.call()',
  'return redis.pcall()',
  'return redis.call("subscribe", "x")',
  'return redis.call("eval", "return 1", 0)',
  'return redis.call("set", "tmp", 1.5)',
  'redis.call("set", "tmp", 0.1) return redis.call("get", "tmp")',
  'redis.call("set", "tmp", 1e20) return redis.call("get", "tmp")',
  'redis.call("set", "tmp", -0) return redis.call("get", "tmp")',
  'redis.call("set", "tmp", 12345678901234567890) return redis.call("get", "tmp")',
  // redis.*
  'return redis.sha1hex("")',
  'return redis.sha1hex("x", "y")',
  'return redis.sha1hex()',
  'return redis.error_reply("My Error")',
  'return redis.error_reply("NOSPACE")',
  'return redis.error_reply("-CODE text")',
  'return redis.error_reply()',
  'return redis.error_reply(1)',
  'return redis.status_reply("fine")',
  'return redis.status_reply()',
  'return redis.status_reply(1, 2)',
  'return redis.setresp(4)',
  'return redis.setresp()',
  'return redis.set_repl(9)',
  'return redis.set_repl()',
  'return {redis.REPL_NONE, redis.REPL_AOF, redis.REPL_SLAVE, redis.REPL_REPLICA, redis.REPL_ALL}',
  'return {redis.LOG_DEBUG, redis.LOG_VERBOSE, redis.LOG_NOTICE, redis.LOG_WARNING}',
  'return {redis.REDIS_VERSION_NUM, redis.REDIS_VERSION}',
  'return redis.log()',
  'return redis.log("x", "y")',
  'return redis.log(7, "y")',
  'return redis.breakpoint()',
  'return redis.replicate_commands()',
  'return redis.acl_check_cmd("set", "x", "y")',
  'return redis.acl_check_cmd("nosuch")',
  'return redis.acl_check_cmd()',
  'return redis.nothing',
  'return redis.nothing()',
  // Errors.
  'error("text")',
  'error("text", 0)',
  'error("text", 2)',
  'error({err="Coded error"})',
  'error({err="Coded error", other=1})',
  'error(12)',
  'error(nil)',
  'return foo',
  'return foo.bar',
  'foo = 1',
  'local t = nil\nreturn t.x',
  'return 1 + {}',
  'return #nil',
  'return {} .. "x"',
  'return {} < 1',
  'x =',
  'return "unfinished',
  'goto x',
  'for i = 1, 10 do',
  'return (',
  '#!lua\nreturn 1',
  '#!lua flags=no-writes\nreturn redis.call("set", "x", "y")',
  '#!lua flags=no-writes,allow-oom\nreturn redis.call("get", "string")',
  '#!lua flags=unknown\nreturn 1',
  '#!lua name=x\nreturn 1',
  '#!ruby\nreturn 1',
  '#!lua',
  '#!lua\n\nreturn redis.call("incr", "string")',
  'return pcall(error, "x")',
  'return {pcall(error, {err="table"})}',
  'return {pcall(error, {1})}',
  'return {pcall(redis.call, "incr", "string")}',
  'return {pcall(function() return foo end)}',
  'return {xpcall(function() error("inner") end, function(e) return "handled: " .. e end)}',
  'return {pcall()}',
  'return {pcall(nil)}',
  'local ok, e = pcall(redis.call, "incr", "string") error(e)',
  'local e = redis.pcall("incr", "string") return e',
  'return tostring(redis.call("ping"))  == nil',
  // The sandbox.
  'return print',
  'return dofile',
  'return loadfile',
  'return os',
  'return io',
  'return require',
  'return module',
  'return package',
  'return debug',
  'return newproxy',
  'return getfenv',
  'return setfenv',
  'return _VERSION',
  'return type(_G)',
  'return _G._G == _G',
  'return _G.foo',
  'return rawget(_G, "foo")',
  'return type(rawget(_G, "redis"))',
  'rawset(_G, "x", 1)',
  'rawset({}, "x", 1) return "fine"',
  'rawset(1)',
  'setmetatable(_G, {})',
  'return type(getmetatable(_G))',
  'getmetatable(_G).__index = nil',
  'return getmetatable(redis)',
  'return type(getmetatable("").__index)',
  'getmetatable("").__index = nil',
  'return ("abc"):upper()',
  'string.x = 1',
  'redis.call = nil',
  'cjson.encode = nil',
  'math.floor = nil',
  '_G.string = nil',
  'KEYS = 1',
  'KEYS[1] = "x" return KEYS',
  'local n = 0 for k in pairs(string) do n = n + 1 end return n',
  'local names = {} for k in pairs(_G) do names[#names + 1] = tostring(k) end table.sort(names) return names',
  'local names = {} for k in pairs(redis) do names[#names + 1] = tostring(k) end table.sort(names) return names',
  'local names = {} for k in pairs(cjson) do names[#names + 1] = tostring(k) end table.sort(names) return names',
  'local names = {} for k in pairs(cmsgpack) do names[#names + 1] = tostring(k) end table.sort(names) return names',
  'return type(next(bit))',
  'return {next({})}',
  'return next({}, 1)',
  'return pairs(nil)',
  'return pairs()',
  'return next(nil)',
  'return loadstring("return 1 + 1")()',
  'return {loadstring("x =")}',
  'return {loadstring(string.dump(function() return 1 end))}',
  'local n = 0 return load(function() n = n + 1 if n == 1 then return "return " elseif n == 2 then return "7" end end)()',
  'return {load(function() return {} end)}',
  'return {load("x")}',
  'return unpack({1, 2, 3})',
  'return {unpack({1, 2, 3}, 2)}',
  'return {unpack({1, 2, 3}, 2, 5)}',
  'return {unpack({1}, 0, 2^31 - 1)}',
  'return {unpack()}',
  'return tostring(1e15) .. tostring(0.1) .. tostring(-0) .. tostring(1e100)',
  'return table.concat({1, 2.5, "x"}, ",")',
  'return string.format("%5.2f|%d|%s|%q|%x", 3.14159, 42, "s", "q\\n", 255)',
  'return string.rep("ab", 3)',
  'return {string.find("hello world", "o w")}',
  'return string.gsub("hello", "l", "L")',
  'return math.floor(-1.5) .. math.max(1, 2) .. math.pi',
  'math.randomseed(42) return {math.random(100), math.random(5, 10), tostring(math.random())}',
  'math.randomseed(-7) return {math.random(1000000), math.random(1000000)}',
  'return math.random(0)',
  'return math.random(1, 2, 3)',
  'return math.random("x")',
  'return select("#", 1, nil, 3)',
  'local co = coroutine.wrap(function() coroutine.yield(1) coroutine.yield(2) end) return {co(), co()}',
  'local co = coroutine.create(function() return redis.call("get", "string") end) return {coroutine.resume(co)}',
  'return type(collectgarbage("count"))',
  'return tonumber("0x10") .. tonumber("10", 2)',
];

/** Expressions of the libraries: what they give, or their error. */
const EXPRESSIONS: readonly string[] = [
  'cjson.encode({})',
  'cjson.encode({1, 2, 3})',
  'cjson.encode({[1]=1, [2]=2, [4]=4})',
  'cjson.encode({[1]=1, [100]=2})',
  'cjson.encode({[1]=1, [11]=2, [20]=3})',
  'cjson.encode({a={b={c={}}}})',
  'cjson.encode({[1.5]=1})',
  'cjson.encode({[true]=1})',
  'cjson.encode(cjson.null)',
  'cjson.encode(nil)',
  'cjson.encode()',
  'cjson.encode(1, 2)',
  'cjson.encode(0/0)',
  'cjson.encode(1/0)',
  'cjson.encode(function() end)',
  'cjson.encode(1e100)',
  'cjson.encode(123456789012345)',
  'cjson.encode(0.1)',
  'cjson.encode(3.0)',
  'cjson.encode(-0)',
  'cjson.encode("a\\"b\\\\c/d\\b\\f\\n\\r\\t\\0\\127\\200")',
  'cjson.encode({true, false})',
  'cjson.decode("[1, 2.5, \\"x\\", null, true, {\\"a\\": [] }]")[2]',
  'cjson.decode("{}") == nil',
  'cjson.decode("[nan, inf, -inf, 0x1F, infinity, +1]")[4]',
  'cjson.decode("nan") ~= cjson.decode("nan")',
  'cjson.decode("0x")',
  'cjson.decode("1e5")',
  'cjson.decode("1e")',
  'cjson.decode("-")',
  'cjson.decode("01")',
  'cjson.decode("1.")',
  'cjson.decode(".5")',
  'cjson.decode("-.5")',
  'cjson.decode("")',
  'cjson.decode(" ")',
  'cjson.decode("[1,]")',
  'cjson.decode("[1 2]")',
  'cjson.decode("{1:2}")',
  'cjson.decode("{\\"a\\" 1}")',
  'cjson.decode("{\\"a\\":1,}")',
  'cjson.decode("{\\"a\\":1")',
  'cjson.decode("[")',
  'cjson.decode("tru")',
  'cjson.decode("nul")',
  'cjson.decode("[1] x")',
  'cjson.decode("\\"abc")',
  'cjson.decode("\\"a\\\\qb\\"")',
  'cjson.decode("\\"\\\\u0041\\\\u00e9\\\\u20ac\\\\ud83d\\\\ude00\\"")',
  'cjson.decode("\\"\\\\ud83d\\"")',
  'cjson.decode("\\"\\\\ude00\\"")',
  'cjson.decode("\\"\\\\u00g0\\"")',
  'cjson.decode("\\"\\\\u0000\\"")',
  'cjson.decode("\\0\\0")',
  'cjson.decode("1\\0")',
  'cjson.decode()',
  'cjson.decode({})',
  'cjson.decode(12)',
  'cjson.decode(string.rep("[", 1001) .. string.rep("]", 1001))',
  '#cjson.encode((function() local t = {} for i = 1, 1000 do t = {t} end return t end)())',
  'cjson.encode((function() local t = {} for i = 1, 1001 do t = {t} end return t end)())',
  'cjson.encode((function() local t = {} t[1] = t return t end)())',
  'cjson.encode_sparse_array()',
  'cjson.encode_sparse_array("x")',
  'cjson.encode_sparse_array(true, 2, 3, 4)',
  'cjson.encode_max_depth(0)',
  'cjson.encode_number_precision(15)',
  'cjson.encode_number_precision()',
  'cjson.encode_keep_buffer()',
  'cjson.encode_invalid_numbers("maybe")',
  'cjson.decode_invalid_numbers()',
  '(function() local c = cjson.new() c.encode_invalid_numbers("null") return c.encode({0/0, 1/0}) end)()',
  '(function() local c = cjson.new() c.encode_invalid_numbers(true) return c.encode({0/0, 1/0, -1/0}) end)()',
  '(function() local c = cjson.new() c.encode_sparse_array(true) return c.encode({[1]=1, [100]=2}) end)()',
  '(function() local c = cjson.new() c.encode_number_precision(3) return c.encode({1/3, 12345}) end)()',
  '(function() local c = cjson.new() c.decode_invalid_numbers(false) return c.decode("[nan]") end)()',
  '(function() local c = cjson.new() c.decode_invalid_numbers("off") return c.decode("0x10") end)()',
  '(function() local c = cjson.new() c.decode_max_depth(2) return c.decode("[[[1]]]") end)()',
  'cmsgpack.pack()',
  'cmsgpack.pack(nil)',
  'cmsgpack.pack(1, "two", {3})',
  'cmsgpack.pack({1, 2, 3})',
  'cmsgpack.pack({a=1})',
  'cmsgpack.pack({[1]=1, [3]=3})',
  'cmsgpack.pack({})',
  'cmsgpack.pack(string.rep("x", 31)) .. cmsgpack.pack(string.rep("x", 32)) .. cmsgpack.pack(string.rep("x", 256))',
  '#cmsgpack.pack(string.rep("x", 70000))',
  'cmsgpack.pack((function() local t = {} for i = 1, 20 do t[i] = i end return t end)())',
  'cmsgpack.pack((function() local t = {} for i = 1, 20 do t = {t} end return t end)())',
  'cmsgpack.pack(function() end)',
  '{cmsgpack.unpack(cmsgpack.pack(1, "x", {1, {a="b"}}, true, false))}',
  'cmsgpack.unpack("")',
  'cmsgpack.unpack("\\146\\1")',
  'cmsgpack.unpack("\\193")',
  'cmsgpack.unpack("\\218\\0")',
  'cmsgpack.unpack("\\219\\255\\255\\255\\255x")',
  'cmsgpack.unpack(nil)',
  '{cmsgpack.unpack_one("\\1\\2\\3")}',
  '{cmsgpack.unpack_one("\\1\\2\\3", 2)}',
  '{cmsgpack.unpack_limit("\\1\\2\\3", 2)}',
  '{cmsgpack.unpack_limit("\\1\\2\\3", 2, 1)}',
  'cmsgpack.unpack_limit("\\1\\2\\3", -1)',
  'cmsgpack.unpack_one("\\1", 5)',
  'struct.pack("<I4>I4", 1, 1)',
  'struct.pack("!4bi", 1, 2)',
  'struct.pack("!bd", 1, 2)',
  'struct.pack("s", "abc")',
  'struct.pack("c0", "abc")',
  'struct.pack("c2", "abc")',
  'struct.pack("c5", "abc")',
  'struct.pack("i33", 1)',
  'struct.pack("i99999999999", 1)',
  'struct.pack("!3i", 1)',
  'struct.pack("z", 1)',
  'struct.pack("i")',
  'struct.pack("i16", -2)',
  'struct.pack()',
  'struct.pack("f", 1.1)',
  'struct.pack("xbx", 7)',
  '{struct.unpack("<I2", "\\1\\2\\3")}',
  '{struct.unpack(">i3", "\\255\\255\\254")}',
  '{struct.unpack("s", "abc\\0def")}',
  '{struct.unpack("s", "abc")}',
  '{struct.unpack("bc0", "\\3abcd")}',
  '{struct.unpack("c0", "abc")}',
  '{struct.unpack("I4", "abc")}',
  '{struct.unpack("b", "abc", 3)}',
  '{struct.unpack("b", "abc", 0)}',
  '{struct.unpack("b", "abc", 4)}',
  '{struct.unpack("i12", string.rep("\\255", 12))}',
  'struct.size("!bhild")',
  'struct.size("s")',
  'struct.size("c0")',
  'struct.size("i4c10x")',
  'bit.tobit(2^32 + 5)',
  'bit.tobit(1.5) + bit.tobit(2.5)',
  'bit.tobit("12")',
  'bit.tobit("x")',
  'bit.band()',
  'bit.bnot(0)',
  'bit.tohex(-1)',
  'bit.tohex(255, 4)',
  'bit.tohex(255, -4)',
  'bit.tohex(255, 0)',
  'bit.tohex(65535, -2147483648)',
  'bit.bswap(0x12345678)',
];

const LIBRARIES: readonly (readonly string[])[] = [
  ['FUNCTION', 'LOAD', "#!lua name=one\nredis.register_function('f', function(keys, args) return {keys, args} end)"],
  ['FUNCTION', 'LOAD', "#!lua name=one\nredis.register_function('g', function() end)"],
  ['FUNCTION', 'LOAD', "#!lua name=two\nredis.register_function('f', function() end)"],
  [
    'FUNCTION',
    'LOAD',
    'REPLACE',
    "#!lua name=one\nredis.register_function('f', function(k) return redis.call('incr', 'string') end)",
  ],
  ['FCALL', 'f', '1', 'k', 'a'],
  ['FCALL_RO', 'f', '0'],
  ['FCALL', 'missing', '0'],
  ['FCALL', 'f', 'x'],
  ['FCALL', 'f', '-1'],
  ['FCALL', 'f', '9'],
  ['FUNCTION', 'LIST'],
  ['FUNCTION', 'LIST', 'WITHCODE'],
  ['FUNCTION', 'LIST', 'LIBRARYNAME', 'o*'],
  ['FUNCTION', 'LIST', 'LIBRARYNAME'],
  ['FUNCTION', 'LIST', 'BAD'],
  ['FUNCTION', 'STATS'],
  ['FUNCTION', 'DUMP'],
  ['FUNCTION', 'LOAD', 'return 1'],
  ['FUNCTION', 'LOAD', '#!lua\nreturn 1'],
  ['FUNCTION', 'LOAD', '#!lua name=x name=y\nreturn 1'],
  ['FUNCTION', 'LOAD', '#!lua bad=x\nreturn 1'],
  ['FUNCTION', 'LOAD', '#!js name=x\nreturn 1'],
  ['FUNCTION', 'LOAD', '#!lua name=x\nreturn 1'],
  ['FUNCTION', 'LOAD', '#!lua name=x\nx ='],
  ['FUNCTION', 'LOAD', '#!lua name=x\nerror("text")'],
  ['FUNCTION', 'LOAD', '#!lua name=x\nredis.call("ping")'],
  ['FUNCTION', 'LOAD', '#!lua name=x\nreturn math.random()'],
  ['FUNCTION', 'LOAD', '#!lua name=x\ny = 1'],
  ['FUNCTION', 'LOAD', '#!lua name=x\nredis.register_function()'],
  ['FUNCTION', 'LOAD', '#!lua name=x\nredis.register_function("f")'],
  ['FUNCTION', 'LOAD', '#!lua name=x\nredis.register_function({}, {})'],
  ['FUNCTION', 'LOAD', '#!lua name=x\nredis.register_function("f", 1)'],
  ['FUNCTION', 'LOAD', '#!lua name=x\nredis.register_function("f f", function() end)'],
  ['FUNCTION', 'LOAD', '#!lua name=x\nredis.register_function{function_name="f"}'],
  ['FUNCTION', 'LOAD', '#!lua name=x\nredis.register_function{callback=function() end}'],
  ['FUNCTION', 'LOAD', '#!lua name=x\nredis.register_function{bad=1}'],
  [
    'FUNCTION',
    'LOAD',
    '#!lua name=x\nredis.register_function{function_name="h", callback=function() end, flags={"bad"}}',
  ],
  [
    'FUNCTION',
    'LOAD',
    '#!lua name=x\nredis.register_function{function_name="h", description="what", callback=function() return redis.call("set", "tmp", 1) end, flags={"no-writes", "allow-stale"}}',
  ],
  ['FCALL', 'h', '0'],
  ['FCALL_RO', 'h', '0'],
  ['FUNCTION', 'DELETE', 'one'],
  ['FUNCTION', 'DELETE', 'one'],
  ['FUNCTION', 'LIST'],
  ['FUNCTION', 'KILL'],
  ['SCRIPT', 'KILL'],
  ['FUNCTION', 'RESTORE', 'bad'],
  ['FUNCTION', 'FLUSH', 'BAD'],
  ['FUNCTION', 'FLUSH'],
  ['FUNCTION', 'DUMP'],
  ['SCRIPT', 'LOAD', 'return 7'],
  ['SCRIPT', 'LOAD', 'x ='],
  ['SCRIPT', 'EXISTS', '4ca238f611c9d0ae4e9a75a5dbac22aedc1e44cd', 'x'],
  ['EVALSHA', '4ca238f611c9d0ae4e9a75a5dbac22aedc1e44cd', '0'],
  ['EVALSHA', 'FFFF', '0'],
  ['EVALSHA', 'ffffffffffffffffffffffffffffffffffffffff', '0'],
  ['EVAL_RO', "return redis.call('set', 'x', 'y')", '0'],
  ['EVAL_RO', "return redis.call('get', 'string')", '0'],
  ['EVAL', 'return 1', 'x'],
  ['EVAL', 'return 1', '-1'],
  ['EVAL', 'return 1', '5', 'a'],
  ['EVAL', 'return {KEYS, ARGV}', '2', 'a', 'b', 'c'],
  ['SCRIPT', 'FLUSH', 'BAD'],
  ['SCRIPT', 'FLUSH', 'ASYNC'],
  ['SCRIPT', 'DEBUG', 'BAD'],
  ['SCRIPT', 'NOSUCH'],
];

const DATA: readonly (readonly string[])[] = [
  ['FLUSHALL'],
  ['SET', 'string', 'text'],
  ['SET', 'number', '10'],
  ['RPUSH', 'list', 'a', 'b', 'c'],
  ['HSET', 'hash', 'f', 'v'],
  ['SADD', 'set', 'm'],
  ['ZADD', 'zset', '1.5', 'm'],
];

/** A Lua expression for a value, of bounded depth. */
function value(random: SeededRandom, depth: number): string {
  const kind = random.below(depth > 0 ? 8 : 6);
  if (kind === 0) return String(random.int32());
  if (kind === 1) return `${random.int32()} / ${random.below(1000) + 1}`;
  if (kind === 2) return `${random.int32()} * 2^${random.below(80) - 40}`;
  if (kind === 3) return random.below(2) === 0 ? 'true' : 'false';
  if (kind <= 5) {
    const bytes = Array.from({ length: random.below(40) }, () => `\\${String(random.below(256)).padStart(3, '0')}`);
    return `"${bytes.join('')}"`;
  }
  const items = Array.from({ length: random.below(6) }, () => value(random, depth - 1));
  if (kind === 6) return `{${items.join(', ')}}`;
  // One field: the order of several depends on where they are in memory.
  return `{k${random.below(100)} = ${value(random, depth - 1)}}`;
}

function randomScript(random: SeededRandom): string {
  const kind = random.below(5);
  if (kind === 0) return `return cjson.encode(${value(random, 4)})`;
  if (kind === 1) return `return cjson.encode(cjson.decode(cjson.encode({${value(random, 4)}})))`;
  if (kind === 2) return `return cmsgpack.pack(${value(random, 4)})`;
  if (kind === 3) return `return cmsgpack.pack(cmsgpack.unpack(cmsgpack.pack(${value(random, 4)})))`;
  const options = ['b', 'B', 'h', 'H', 'i', 'I', 'l', 'L', 'i3', 'I7', 'i8', 'f', 'd', 'T'];
  const option = ['', '<', '>', '!4', '!>'][random.below(5)] + options[random.below(options.length)];
  const number = `${random.int32()} * 2^${random.below(40) - 10}`;
  const operations = ['band', 'bor', 'bxor', 'lshift', 'rshift', 'arshift', 'rol', 'ror'];
  const operation = operations[random.below(operations.length)];
  return `local p = struct.pack("${option}", ${number}) return {p, tostring(struct.unpack("${option}", p)), bit.${operation}(${random.int32()}, ${random.below(40)})}`;
}

describe.skipIf(!redisInstalled)('scripts beside redis-server', { timeout: 60_000 }, () => {
  const pair = serverPair();

  /** The same requests to both; the replies that differ, as text. */
  async function differences(batch: readonly (readonly string[])[]): Promise<string[]> {
    const [theirs, mine] = await Promise.all(pair.peers.map((peer) => peer.run(batch)));
    return batch.flatMap((words, i) => {
      if (theirs[i].bytes.equals(mine[i].bytes)) return [];
      const show = (bytes: Buffer): string => JSON.stringify(bytes.toString('latin1'));
      return [`${words.join(' ')}\n  redis-server ${show(theirs[i].bytes)}\n  wiredis      ${show(mine[i].bytes)}`];
    });
  }

  it.each([2, 3])('converts and refuses as it does, in RESP%d', async (protocol) => {
    const evals = SCRIPTS.map((script) => ['EVAL', script, '0']);
    await Promise.all(pair.peers.map((peer) => peer.run([['HELLO', String(protocol)]])));
    expect(await differences([...DATA, ...evals])).toEqual([]);
  });

  it('has its libraries', async () => {
    const evals = EXPRESSIONS.map((expression) => ['EVAL', `return ${expression}`, '0']);
    expect(await differences(evals)).toEqual([]);
  });

  it('packs and unpacks random values as it does', async () => {
    const random = new SeededRandom(7);
    const evals = Array.from({ length: 2000 }, () => ['EVAL', randomScript(random), '0']);
    expect(await differences(evals)).toEqual([]);
  });

  it('loads and calls functions, and keeps scripts, as it does', async () => {
    await Promise.all(pair.peers.map((peer) => peer.run([['HELLO', '2']])));
    expect(await differences([...DATA, ...LIBRARIES])).toEqual([]);
  });

  it('restores every library of a dump, wherever the dump lies among what was sent', async () => {
    const code = (name: string): string =>
      `#!lua name=${name}\nredis.register_function('${name}', function() return 1 end)`;
    const names = ['one', 'two', 'three'];
    await Promise.all(pair.peers.map((peer) => peer.run([['FUNCTION', 'FLUSH']])));
    for (const name of names) await Promise.all(pair.peers.map((peer) => peer.run([['FUNCTION', 'LOAD', code(name)]])));
    const [dump] = await pair.peers[0].run([['FUNCTION', 'DUMP']]);
    const payload = dump.reply as string;
    const before = Array.from({ length: 50 }, () => ['PING', 'x'.repeat(50)]);
    const after = names.map((name) => ['FCALL', name, '0']);
    expect(await differences([...before, ['FUNCTION', 'RESTORE', payload, 'FLUSH'], ...after])).toEqual([]);
    const [one] = await pair.peers[1].run([['FCALL', 'three', '0']]);
    expect(one.bytes.toString()).toBe(':1\r\n');
  });
});
