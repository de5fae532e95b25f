// Places on Earth as Redis's geo commands keep them: longitude and latitude as two 26-bit numbers, their bits
// interleaved to a 52-bit score (a geohash), so that near places mostly have near scores. Distances are great circles
// on a sphere. The order of every operation matters: results are Redis's to the last bit. Anyone in src/ may import it.

export const LONGITUDE_MAX = 180;
export const LATITUDE_MAX = 85.05112878;
const EARTH_RADIUS_M = 6372797.560856;
const MERCATOR_MAX = 20037726.37;
/** Bits of each coordinate in a score. */
export const SCORE_STEP = 26;
const DEGREE = Math.PI / 180;
const HALF = 2 ** 13;
const HALF_SCORE = 2 ** 26;

/** A square of the grid that has 2^step columns and rows. */
export interface Cell {
  readonly step: number;
  /** From west to east. */
  readonly x: number;
  /** From south to north. */
  readonly y: number;
}

export interface Area {
  readonly west: number;
  readonly east: number;
  readonly south: number;
  readonly north: number;
}

/** Bit i goes to bit 2i; up to 16 bits. */
function spread(value: number): number {
  let v = value;
  v = (v | (v << 8)) & 0x00ff00ff;
  v = (v | (v << 4)) & 0x0f0f0f0f;
  v = (v | (v << 2)) & 0x33333333;
  v = (v | (v << 1)) & 0x55555555;
  return v >>> 0;
}

/** The reverse of `spread`. */
function gather(value: number): number {
  let v = value & 0x55555555;
  v = (v | (v >>> 1)) & 0x33333333;
  v = (v | (v >>> 2)) & 0x0f0f0f0f;
  v = (v | (v >>> 4)) & 0x00ff00ff;
  v = (v | (v >>> 8)) & 0x0000ffff;
  return v;
}

/** Bits of y at the even places, of x at the odd ones. */
function interleave(x: number, y: number): number {
  const high = spread(Math.floor(y / HALF)) + spread(Math.floor(x / HALF)) * 2;
  const low = spread(y % HALF) + spread(x % HALF) * 2;
  return high * HALF_SCORE + low;
}

/** @param latitudeMax how far north the grid goes: geohashes that are printed use 90. */
export function cellAt(longitude: number, latitude: number, step: number, latitudeMax = LATITUDE_MAX): Cell {
  const y = (latitude - -latitudeMax) / (latitudeMax - -latitudeMax);
  const x = (longitude - -LONGITUDE_MAX) / (LONGITUDE_MAX - -LONGITUDE_MAX);
  return { step, x: Math.floor(x * 2 ** step), y: Math.floor(y * 2 ** step) };
}

/** Where a square lies. */
export function areaOf({ step, x, y }: Cell): Area {
  const latitudeScale = LATITUDE_MAX - -LATITUDE_MAX;
  const longitudeScale = LONGITUDE_MAX - -LONGITUDE_MAX;
  const cells = 2 ** step;
  return {
    south: -LATITUDE_MAX + (y / cells) * latitudeScale,
    north: -LATITUDE_MAX + ((y + 1) / cells) * latitudeScale,
    west: -LONGITUDE_MAX + (x / cells) * longitudeScale,
    east: -LONGITUDE_MAX + ((x + 1) / cells) * longitudeScale,
  };
}

/** The score of a place. */
export function scoreOf(longitude: number, latitude: number): number {
  const { x, y } = cellAt(longitude, latitude, SCORE_STEP);
  return interleave(x, y);
}

/** Result of `decode`. */
export const place = { longitude: 0, latitude: 0 };

/** The middle of the square that a score names, into `place`. */
export function decode(score: number): void {
  const { west, east, south, north } = areaOf(cellOf(score));
  place.longitude = clamp((west + east) / 2, LONGITUDE_MAX);
  place.latitude = clamp((south + north) / 2, LATITUDE_MAX);
}

function clamp(value: number, max: number): number {
  return Math.min(max, Math.max(-max, value));
}

const ALPHABET = '0123456789bcdefghjkmnpqrstuvwxyz';

/** The standard geohash, 11 characters; of the last one no bits are known: it is 0. */
export function geohashText(longitude: number, latitude: number): string {
  const { x, y } = cellAt(longitude, latitude, SCORE_STEP, 90);
  const bits = BigInt(interleave(x, y));
  let text = '';
  for (let i = 1; i <= 10; i++) text += ALPHABET[Number((bits >> BigInt(52 - i * 5)) & 31n)];
  return `${text}0`;
}

// --- distance ---

const radians = (degrees: number): number => degrees * DEGREE;
const degrees = (angle: number): number => angle / DEGREE;

function latitudeDistance(a: number, b: number): number {
  return EARTH_RADIUS_M * Math.abs(radians(b) - radians(a));
}

/** Metres along the great circle. */
export function distance(longitude1: number, latitude1: number, longitude2: number, latitude2: number): number {
  const v = Math.sin((radians(longitude2) - radians(longitude1)) / 2);
  if (v === 0) return latitudeDistance(latitude1, latitude2);
  const from = radians(latitude1);
  const to = radians(latitude2);
  const u = Math.sin((to - from) / 2);
  const a = u * u + Math.cos(from) * Math.cos(to) * v * v;
  return 2 * EARTH_RADIUS_M * Math.asin(Math.sqrt(a));
}

// --- shapes ---

/** What is searched: a circle, or a box along the meridians, around a place; lengths in `unit`s of so many metres. */
export interface Shape {
  longitude: number;
  latitude: number;
  /** Of a circle. */
  radius: number;
  /** Of a box. */
  width: number;
  height: number;
  isBox: boolean;
  /** Metres of the unit the lengths are in. */
  unit: number;
}

/** Metres from the middle of the shape to a place, or -1 when it lies outside. */
export function distanceWithin(shape: Shape, longitude: number, latitude: number): number {
  if (!shape.isBox) {
    const metres = distance(shape.longitude, shape.latitude, longitude, latitude);
    return metres > shape.radius * shape.unit ? -1 : metres;
  }
  if (latitudeDistance(latitude, shape.latitude) > (shape.height * shape.unit) / 2) return -1;
  if (distance(longitude, latitude, shape.longitude, latitude) > (shape.width * shape.unit) / 2) return -1;
  return distance(shape.longitude, shape.latitude, longitude, latitude);
}

function boundsOf(shape: Shape): Area {
  const { longitude, latitude, unit } = shape;
  const height = unit * (shape.isBox ? shape.height / 2 : shape.radius);
  const width = unit * (shape.isBox ? shape.width / 2 : shape.radius);
  const latitudeDelta = degrees(height / EARTH_RADIUS_M);
  // A degree of longitude is shortest at the edge that is nearer to the pole.
  const edge = latitude < 0 ? latitude - latitudeDelta : latitude + latitudeDelta;
  const longitudeDelta = degrees(width / EARTH_RADIUS_M / Math.cos(radians(edge)));
  return {
    west: longitude - longitudeDelta,
    east: longitude + longitudeDelta,
    south: latitude - latitudeDelta,
    north: latitude + latitudeDelta,
  };
}

/** The finest grid of which nine squares cover so wide a search. */
function stepFor(radiusM: number, latitude: number): number {
  if (radiusM === 0) return SCORE_STEP;
  let step = 1;
  for (let range = radiusM; range < MERCATOR_MAX; range *= 2) step++;
  step -= 2;
  const towardsPole = Math.abs(latitude);
  if (towardsPole > 66) step--;
  if (towardsPole > 80) step--;
  return Math.min(SCORE_STEP, Math.max(1, step));
}

/** Goes round the Earth; the edge itself, one beyond the last column or row, stays where it is unless it is left. */
function neighbour({ step, x, y }: Cell, dx: number, dy: number): Cell {
  const cells = 2 ** step;
  return { step, x: dx === 0 ? x : (x + dx + cells) % cells, y: dy === 0 ? y : (y + dy + cells) % cells };
}

/** The middle square and those around it, in the order in which Redis looks at them: as (dx, dy). */
const AROUND = [
  [0, 0],
  [0, 1],
  [0, -1],
  [1, 0],
  [-1, 0],
  [1, 1],
  [-1, 1],
  [1, -1],
  [-1, -1],
] as const;

/** Squares that together hold all of the shape, in order. */
export function cellsFor(shape: Shape): Cell[] {
  const bounds = boundsOf(shape);
  const { longitude, latitude } = shape;
  const half = shape.isBox
    ? Math.sqrt((shape.width / 2) * (shape.width / 2) + (shape.height / 2) * (shape.height / 2))
    : shape.radius;
  let step = stepFor(half * shape.unit, latitude);
  let middle = cellAt(longitude, latitude, step);
  const tooFine =
    areaOf(neighbour(middle, 0, 1)).north < bounds.north ||
    areaOf(neighbour(middle, 0, -1)).south > bounds.south ||
    areaOf(neighbour(middle, 1, 0)).east < bounds.east ||
    areaOf(neighbour(middle, -1, 0)).west > bounds.west;
  if (step > 1 && tooFine) middle = cellAt(longitude, latitude, --step);
  const area = areaOf(middle);
  const useless = (dx: number, dy: number): boolean =>
    step >= 2 &&
    ((dy < 0 && area.south < bounds.south) ||
      (dy > 0 && area.north > bounds.north) ||
      (dx < 0 && area.west < bounds.west) ||
      (dx > 0 && area.east > bounds.east));
  const cells: Cell[] = [];
  for (const [dx, dy] of AROUND) {
    if (useless(dx, dy)) continue;
    const cell = neighbour(middle, dx, dy);
    const last = cells[cells.length - 1];
    // With huge shapes neighbours are the same square. The middle one does not count, as in Redis.
    if (cells.length > 1 && last.x === cell.x && last.y === cell.y) continue;
    cells.push(cell);
  }
  return cells;
}

/** The finest square of a score. */
export function cellOf(score: number): Cell {
  const high = Math.floor(score / HALF_SCORE);
  const low = score % HALF_SCORE;
  return {
    step: SCORE_STEP,
    x: gather(high >>> 1) * HALF + gather(low >>> 1),
    y: gather(high) * HALF + gather(low),
  };
}

/** Scores of all places in a square: from the first to below the second. */
export function scoresOf({ step, x, y }: Cell): readonly [number, number] {
  const unit = 2 ** (52 - 2 * step);
  const bits = interleave(x, y);
  return [bits * unit, (bits + 1) * unit];
}
