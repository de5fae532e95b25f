import { afterEach, expect, it } from 'vitest';
import { parseNetdevConf } from '../../stack/config.ts';
import { AddressSeat } from './userspace-seat.ts';

const config = (text: string) => parseNetdevConf(`interface = seat${process.pid}\n${text}`, 'netdev.conf');
const seats: AddressSeat[] = [];
const take = async (text: string) => seats.push(await AddressSeat.take(config(text)));

afterEach(() => {
  for (const seat of seats.splice(0)) seat.close();
});

it.each(['address = 10.0.0.1/24', 'address = 2001:db8::1/64'])('%s is served once', async (text) => {
  await take(text);
  await expect(take(text)).rejects.toMatchObject({
    code: 'EADDRINUSE',
    message: expect.stringMatching(/^another process of this machine serves \S+1 on seat\d+: stop it, or choose/),
  });
});

it('other addresses and other VLANs are others, and a refusal keeps nothing', async () => {
  await take('address = 10.0.0.1/24');
  await take('address = 10.0.0.1/24\nvlan = 7');
  await expect(take('address = 10.0.0.2/24\naddress = 10.0.0.1/24')).rejects.toThrow('serves 10.0.0.1');
  await expect.poll(() => take('address = 10.0.0.2/24').catch(() => 0)).toBeGreaterThan(0);
});

it('is free again when it is given back', async () => {
  await take('address = 10.0.0.1/24');
  seats.splice(0)[0].close();
  await expect.poll(() => take('address = 10.0.0.1/24').catch(() => 0)).toBe(1);
});
