/* The same work through hiredis; prints one line a reply.
 *   library HOST PORT */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print(const redisReply *reply) {
  switch (reply->type) {
  case REDIS_REPLY_INTEGER: printf(":%lld ", reply->integer); break;
  case REDIS_REPLY_NIL: printf("nil "); break;
  case REDIS_REPLY_ARRAY:
    printf("[ ");
    for (size_t i = 0; i < reply->elements; i++) print(reply->element[i]);
    printf("] ");
    break;
  default:
    printf("%d:%zu:", reply->type, (size_t)reply->len);
    for (size_t i = 0; i < (size_t)reply->len; i++) printf("%02x", (unsigned char)reply->str[i]);
    printf(" ");
  }
}

static void finish(redisContext *context, redisReply *reply) {
  if (reply == NULL) {
    fprintf(stderr, "%s\n", context->errstr);
    exit(1);
  }
  print(reply);
  printf("\n");
  freeReplyObject(reply);
}

#define DO(...) finish(context, redisCommand(context, __VA_ARGS__))

int main(int count, char **words) {
  if (count != 3) return 2;
  struct timeval limit = {20, 0};
  redisContext *context = redisConnectWithTimeout(words[1], atoi(words[2]), limit);
  if (context == NULL || context->err) {
    fprintf(stderr, "%s\n", context == NULL ? "no memory" : context->errstr);
    return 1;
  }
  redisSetTimeout(context, limit);
  DO("FLUSHALL");
  DO("SET %b %b", "k\0ey", (size_t)4, "\0\xff\r\n", (size_t)4);
  DO("GET %b", "k\0ey", (size_t)4);
  DO("GET missing");
  DO("INCRBY n %d", 41);
  DO("LPUSH n x");
  DO("NOSUCHCOMMAND");
  DO("RPUSH l a b c");
  DO("LRANGE l 0 -1");
  DO("EVAL %s 0", "return {1, {2, 'x'}, false, redis.status_reply('FINE')}");
  DO("MULTI");
  DO("INCR n");
  DO("LPOP l");
  DO("EXEC");
  DO("XADD s 1-1 f v");
  DO("XRANGE s - +");
  DO("BLPOP l 1");

  /* A pipeline of many, and one value of many segments. */
  for (int i = 0; i < 10000; i++) redisAppendCommand(context, "SET key:%d value:%d", i, i);
  for (int i = 0; i < 10000; i++) redisAppendCommand(context, "GET key:%d", i);
  long right = 0;
  for (int i = 0; i < 20000; i++) {
    redisReply *reply;
    if (redisGetReply(context, (void **)&reply) != REDIS_OK) return 1;
    char expected[32];
    snprintf(expected, sizeof expected, i < 10000 ? "OK" : "value:%d", i - 10000);
    right += strcmp(reply->str, expected) == 0;
    freeReplyObject(reply);
  }
  printf("pipelined %ld\n", right);
  size_t length = 3 * 1024 * 1024;
  char *large = malloc(length);
  for (size_t i = 0; i < length; i++) large[i] = (char)(i * 31 >> 3);
  DO("SET large %b", large, length);
  redisReply *reply = redisCommand(context, "GET large");
  printf("large %d\n", reply != NULL && (size_t)reply->len == length && memcmp(reply->str, large, length) == 0);
  freeReplyObject(reply);
  free(large);
  DO("SUBSCRIBE c1 c2");
  redisFree(context);
  return 0;
}
