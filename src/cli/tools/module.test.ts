// What `wiredis module` refuses before it talks to anyone; test/contract/modules.test.ts has it at work.
import { expect, it } from 'vitest';
import { module } from './module.ts';

it.each([
  [[], "module wants 'watch'"],
  [['load', 'x'], "module wants 'watch'"],
  [['watch'], 'module watch wants one path'],
  [['watch', 'a', 'b'], 'module watch wants one path'],
  [['watch', 'a', '--port', 'x'], '--port wants a whole number'],
  [['watch', '/no/such/file.mjs'], 'there is no file /no/such/file.mjs'],
])('module %j', async (args, message) => {
  await expect(async () => module.run([...args])).rejects.toThrow(message);
});

it('says when nobody answers', async () => {
  await expect(module.run(['watch', import.meta.filename, '--port', '1'])).rejects.toThrow('no server at 127.0.0.1:1');
});
