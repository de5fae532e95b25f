// Error replies that several commands share, in Redis 7.0's words.

export const NOT_AN_INTEGER = 'ERR value is not an integer or out of range';
export const NOT_A_FLOAT = 'ERR value is not a valid float';
export const WRONG_TYPE = 'WRONGTYPE Operation against a key holding the wrong kind of value';
export const SYNTAX = 'ERR syntax error';
export const NO_SUCH_KEY = 'ERR no such key';
export const INDEX_OUT_OF_RANGE = 'ERR index out of range';
export const OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'.";
export const NO_SUCH_SCRIPT = 'NOSCRIPT No matching script. Please use EVAL.';
