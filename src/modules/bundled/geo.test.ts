// geo: latitude first, replies in the original's order and form, and its bugs gone.
import { cpSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { OurServer } from '../../../test/support/our-server.ts';
import type { Peer } from '../../../test/support/redis-server.ts';
import { itemsOf, type Reply } from '../../../test/support/replies.ts';

let server: OurServer;
let peer: Peer;

beforeAll(async () => {
  server = await OurServer.start({
    'module-add': 'geo',
    'enable-module-command': 'yes',
    appendonly: 'yes',
    appendfsync: 'always',
  });
  peer = server.connect();
});
afterAll(async () => {
  peer.close();
  await server.stop();
});
beforeEach(async () => void (await peer.ask('FLUSHALL')));

const integer = (value: number) => ({ type: ':', text: String(value) });
const error = (text: string) => ({ error: `ERR ${text}` });
const PLACES = [
  ['40.7648057', '-73.9733487', 'central park'],
  ['40.7362513', '-73.9903085', 'union square'],
  ['40.7126674', '-74.0131604', 'wtc one'],
  ['40.6428986', '-73.7858139', 'jfk'],
  ['40.7480973', '-73.9564142', '4545'],
];
const fill = () => peer.ask('GEOADD', 'nyc', ...PLACES.flat());
const near = (...options: string[]) => peer.ask('GEORADIUS', 'nyc', '40.7598464', '-73.9798091', '3', 'km', ...options);

describe('GEOADD', () => {
  it('one replies as ZADD, several with their number', async () => {
    const [latitude, longitude] = PLACES[0];
    expect(await peer.ask('GEOADD', 'nyc', latitude, longitude, 'a')).toEqual(integer(1));
    expect(await peer.ask('GEOADD', 'nyc', latitude, longitude, 'a')).toEqual(integer(0));
    expect(await peer.ask('GEOADD', 'nyc', latitude, '-73', 'a')).toEqual(integer(0));
    expect(await fill()).toEqual(integer(5));
    expect(await fill()).toEqual(integer(5));
    expect(await peer.ask('ZCARD', 'nyc')).toEqual(integer(6));
    // The scores are Redis's.
    expect(await peer.ask('ZSCORE', 'nyc', '4545')).toBe('1791875796750882');
    expect(itemsOf(itemsOf(await peer.ask('GEOPOS', 'nyc', '4545'))[0]).map(Number)[1]).toBeCloseTo(40.748, 3);
  });

  it('with a radius keeps fewer bits', async () => {
    expect(await peer.ask('GEOADD', 'k', '40.7480973', '-73.9564142', 'm', '1', 'km')).toEqual(integer(1));
    const coarse = BigInt(String(await peer.ask('ZSCORE', 'k', 'm')));
    expect(coarse & ((1n << 20n) - 1n)).toBe(0n);
    expect(coarse >> 24n).toBe(1791875796750882n >> 24n);
    expect(await peer.ask('GEOADD', 'k', '1', '2', 'm', '1')).toEqual(
      error('must provide units when asking for radius encode'),
    );
    expect(await peer.ask('GEOADD', 'k', '1', '2', 'm', 'x', 'km')).toEqual(error('need numeric radius'));
    expect(await peer.ask('GEOADD', 'k', '1', '2', 'm', '-1', 'km')).toEqual(error('radius cannot be negative'));
    expect(await peer.ask('GEOADD', 'k', '1', '2', 'm', '1', 'parsec')).toMatchObject({
      error: expect.stringContaining('unsupported unit provided'),
    });
  });

  it('changes nothing when any word is wrong', async () => {
    for (const words of [
      ['1', '2', 'a', '91', '2', 'b'],
      ['1', '2', 'a', '1', '181', 'b'],
      ['85.06', '0', 'a'],
      ['nan', '0', 'a'],
      ['x', '0', 'a'],
      ['1', '2', 'a', '1', '2', 'b', '1', '2'],
    ]) {
      expect(await peer.ask('GEOADD', 'k', ...words)).toHaveProperty('error');
    }
    expect(await peer.ask('GEOADD', 'k', '86', '200', 'a')).toEqual(
      error('invalid latitude,longitude pair 86.000000,200.000000'),
    );
    expect(await peer.ask('EXISTS', 'k')).toEqual(integer(0));
    await peer.ask('SET', 'k', 'x');
    expect(await peer.ask('GEOADD', 'k', '1', '2', 'a')).toMatchObject({ error: expect.stringContaining('WRONGTYPE') });
  });

  it('publishes each place', async () => {
    const listener = server.connect();
    await listener.ask('PSUBSCRIBE', '__geo:k\xff:*');
    await peer.ask('GEOADD', 'k\xff', '40.7648057', '-73.9733487', 'a', '0.00390625', '-0.00390625', 'b');
    const [first, second] = await listener.run([['PING'], ['PING'], ['PING']]);
    const message = (member: string, text: string) => ({
      items: ['pmessage', '__geo:k\xff:*', `__geo:k\xff:${member}`, text],
    });
    expect(first.reply).toMatchObject(message('a', '40.7648057 -73.9733487'));
    // As C rounds.
    expect(second.reply).toMatchObject(message('b', '0.0039062 -0.0039062'));
    listener.close();
  });
});

describe('GEORADIUS', () => {
  it('finds members, nearest or farthest first', async () => {
    await fill();
    expect(await near('asc')).toMatchObject({ items: ['central park', '4545', 'union square'] });
    for (const word of ['DESC', 'descending']) {
      expect(await near(word)).toMatchObject({ items: ['union square', '4545', 'central park'] });
    }
    expect(itemsOf(await near()).length).toBe(3);
    expect(await near('sorted')).toMatchObject({ items: ['central park', '4545', 'union square'] });
    expect(await peer.ask('GEORADIUSBYMEMBER', 'nyc', '4545', '4', 'km', 'ASC')).toMatchObject({
      items: ['4545', 'central park', 'union square'],
    });
  });

  it('adds distance, hash, coordinates, GeoJSON and bounds in that order', async () => {
    await fill();
    const options = ['withgeojsonBOUNDS', 'withjson', 'WithCoordinates', 'withhash', 'withDISTANCE', 'asc'];
    const [first] = itemsOf(await near(...options));
    const [member, distance, hash, place, json, bounds] = itemsOf(first);
    expect(itemsOf(first).length).toBe(6);
    expect([member, distance]).toEqual(['central park', '0.78']);
    expect(hash).toEqual(integer(Number(await peer.ask('ZSCORE', 'nyc', 'central park'))));
    const [latitude, longitude] = itemsOf(place).map(Number);
    expect(latitude).toBeCloseTo(40.7648057, 5);
    expect(longitude).toBeCloseTo(-73.9733487, 5);
    const point = JSON.parse(String(json));
    expect(point).toMatchObject({
      type: 'Feature',
      geometry: { type: 'Point', coordinates: [longitude, latitude] },
      properties: { set: 'nyc', member: 'central park', units: 'km' },
    });
    expect(point.properties.distance).toBeCloseTo(0.78, 2);
    const polygon = JSON.parse(String(bounds));
    expect(polygon.geometry.type).toBe('Polygon');
    const [ring] = polygon.geometry.coordinates;
    expect(ring.length).toBe(5);
    expect(ring[0]).toEqual(ring[4]);
    expect(polygon.properties).toEqual({ set: 'nyc', member: 'central park' });
  });

  it('adds a collection as one more element', async () => {
    await fill();
    const items = itemsOf(await near('withgeojsoncollection', 'asc'));
    expect(items.slice(0, 3)).toEqual(['central park', '4545', 'union square']);
    const collection = JSON.parse(String(items[3]));
    expect(collection.type).toBe('FeatureCollection');
    expect(collection.features.map((one: { properties: { member: string } }) => one.properties.member)).toEqual(
      items.slice(0, 3),
    );
    const bare = itemsOf(await near('withgeojsoncollection', 'noproperties', 'asc', 'withdist'));
    expect(JSON.parse(String(bare[3])).features[0].properties).toEqual({});
    expect(bare[0]).toMatchObject({ items: ['central park', '0.78'] });
  });

  it('knows units by short and by long names, in lower case', async () => {
    await fill();
    const distance = async (radius: string, unit: string): Promise<Reply> =>
      itemsOf(itemsOf(await peer.ask('GEORADIUSBYMEMBER', 'nyc', '4545', radius, unit, 'withdist', 'desc'))[0])[1];
    const exact = Number(await peer.ask('GEODIST', 'nyc', '4545', 'union square'));
    expect(await distance('4000', 'm')).toBe(exact.toFixed(2));
    for (const unit of ['m', 'meter', 'meters']) expect(await distance('4000', unit)).toBe(await distance('4000', 'm'));
    for (const unit of ['km', 'kilometer', 'kilometers'])
      expect(await distance('4', unit)).toBe((exact / 1000).toFixed(2));
    for (const unit of ['mi', 'mile', 'miles']) expect(await distance('2.5', unit)).toBe((exact / 1609.34).toFixed(2));
    for (const unit of ['ft', 'feet']) expect(await distance('12000', unit)).toBe((exact / 0.3048).toFixed(2));
    for (const unit of ['M', 'KM', 'metre', 'Miles', '']) {
      expect(await peer.ask('GEORADIUSBYMEMBER', 'nyc', '4545', '1', unit)).toMatchObject({
        error: expect.stringContaining('unsupported unit provided'),
      });
    }
  });

  it('refuses what is wrong; the server goes on after a negative radius', async () => {
    await fill();
    expect(await peer.ask('GEORADIUS', 'nyc', '1', '2', '-1', 'km')).toEqual(error('radius cannot be negative'));
    expect(await peer.ask('GEORADIUSBYMEMBER', 'nyc', '4545', '-1', 'm')).toEqual(error('radius cannot be negative'));
    expect(await peer.ask('GEORADIUS', 'nyc', '1', '2', 'x', 'km')).toEqual(error('need numeric radius'));
    expect(await peer.ask('GEORADIUSBYMEMBER', 'nyc', 'nobody', '1', 'km')).toEqual(
      error('could not decode requested zset member'),
    );
    expect(await peer.ask('GEORADIUS', 'nyc', '86', '2', '1', 'km')).toHaveProperty('error');
    expect(await peer.ask('GEORADIUS', 'nyc', '1', '181', '1', 'km')).toHaveProperty('error');
    expect(await near('withnothing')).toEqual(error('syntax error'));
    expect(await peer.ask('GEORADIUS', 'none', '1', '2', '1', 'km', 'withgeojsoncollection')).toMatchObject({
      items: [],
    });
    expect(await peer.ask('GEORADIUS', 'nyc', '-40', '100', '1', 'km', 'withgeojsoncollection')).toMatchObject({
      items: [],
    });
    expect(await peer.ask('PING')).toEqual({ type: '+', text: 'PONG' });
  });
});

describe('GEOENCODE and GEODECODE', () => {
  const numbers = (reply: Reply) => itemsOf(reply).map(Number);

  it('are each other’s reverse', async () => {
    const [hash, low, high, middle] = itemsOf(await peer.ask('GEOENCODE', '40.7480973', '-73.9564142'));
    expect(hash).toEqual(integer(1791875796750882));
    const decoded = itemsOf(await peer.ask('GEODECODE', '1791875796750882'));
    expect(decoded).toEqual([low, high, middle]);
    expect(numbers(middle)[0]).toBeCloseTo(40.7480973, 5);
    expect(numbers(middle)[1]).toBeCloseTo(-73.9564142, 5);
    expect(numbers(low)[0]).toBeLessThan(numbers(high)[0]);
  });

  it('take a radius and give GeoJSON', async () => {
    const fine = itemsOf(await peer.ask('GEOENCODE', '40', '-73', 'WITHJSON'));
    expect(fine.length).toBe(6);
    expect(JSON.parse(String(fine[4]))).toMatchObject({ geometry: { type: 'Point' }, properties: {} });
    expect(JSON.parse(String(fine[5]))).toMatchObject({ geometry: { type: 'Polygon' }, properties: {} });
    const coarse = itemsOf(await peer.ask('GEOENCODE', '40', '-73', '100', 'km', 'json'));
    expect(numbers(coarse[2])[0] - numbers(coarse[1])[0]).toBeGreaterThan(0.1);
    expect(itemsOf(await peer.ask('GEODECODE', '0', 'anything')).length).toBe(5);
  });

  it('refuse what is wrong', async () => {
    expect(await peer.ask('GEOENCODE', '40', '-73', '1')).toEqual(
      error('must provide units when asking for radius encode'),
    );
    expect(await peer.ask('GEOENCODE', '40', '-73', 'x', 'km')).toEqual(error('need numeric radius'));
    expect(await peer.ask('GEOENCODE', '86', '0')).toHaveProperty('error');
    expect(await peer.ask('GEOENCODE', '40', '-73', '1', 'km', 'what')).toEqual(error('syntax error'));
    for (const hash of ['x', '-1', '4503599627370496']) {
      expect(await peer.ask('GEODECODE', hash)).toHaveProperty('error');
    }
  });
});

it('its places are the same without it', async () => {
  await fill();
  const other = await OurServer.start({ appendonly: 'yes' }, (to) => cpSync(server.directory, to, { recursive: true }));
  const client = other.connect();
  expect(await client.ask('ZSCORE', 'nyc', '4545')).toBe('1791875796750882');
  client.close();
  await other.stop();
  expect(await peer.ask('MODULE', 'UNLOAD', 'sh.matt.geo')).toEqual({ type: '+', text: 'OK' });
  // Longitude first again.
  expect(await peer.ask('GEORADIUS', 'nyc', '-73.9798091', '40.7598464', '3', 'km', 'ASC')).toMatchObject({
    items: ['central park', '4545', 'union square'],
  });
  expect(await peer.ask('GEOENCODE', '1', '2')).toMatchObject({ error: expect.stringContaining('unknown command') });
  await peer.ask('MODULE', 'LOAD', 'geo');
});
