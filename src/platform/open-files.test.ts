import { expect, it } from 'vitest';
import { Log } from './log.ts';
import { limitClients, RESERVED_FILES } from './open-files.ts';

function limited(maxclients: number, filesMax: number): { readonly maxclients: number; readonly said: string } {
  let said = '';
  const config = { maxclients };
  limitClients(config, new Log({ write: (line) => (said += line) }), filesMax);
  return { ...config, said };
}

it('clients leave room for the files that a save opens', () => {
  expect(limited(10_000, 10_000 + RESERVED_FILES)).toEqual({ maxclients: 10_000, said: '' });
  const { maxclients, said } = limited(10_000, 1024);
  expect(maxclients).toBe(1024 - RESERVED_FILES);
  expect(said).toContain(`maxclients 10000 wants ${10_000 + RESERVED_FILES} open files, the limit is 1024`);
  expect(limited(10_000, 40).maxclients).toBe(1);
});

it('the limit is that of this process', () => {
  const config = { maxclients: 2 ** 31 };
  limitClients(config, new Log({ write: () => {} }));
  expect(config.maxclients).toBeGreaterThan(0);
  expect(config.maxclients).toBeLessThan(2 ** 31);
});
