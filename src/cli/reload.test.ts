import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OurServer } from '../../test/support/our-server.ts';
import { type Config, createConfig } from '../core/config.ts';
import { Reloader } from './reload.ts';

let ours: OurServer;
let file: Config;

beforeEach(async () => {
  ours = await OurServer.start();
  file = { ...ours.server.config };
});

afterEach(() => ours.stop());

describe('reload', () => {
  it('puts into effect what changed in the file, and nothing else', () => {
    const { server } = ours;
    const reloader = new Reloader(server, () => ({ ...file }));
    server.config.hz = 50;
    file.maxclients = 77;
    file.databases = 3;
    reloader.reload();
    expect(server.config.maxclients).toBe(77);
    expect(server.config.hz).toBe(50);
    // Not while running.
    expect(server.config.databases).toBe(16);
  });

  it('goes on as before when the file cannot be read', () => {
    const { server } = ours;
    const reloader = new Reloader(server, () => {
      throw new Error('line 3 is wrong');
    });
    const before = server.config.maxclients;
    reloader.reload();
    expect(server.config.maxclients).toBe(before);
    expect(createConfig().maxclients).toBe(before);
  });
});
