// A key with its database as a string, for maps that hold few keys: watched, waited for, tracked. Only core/ imports it.

/** `db:key`, Latin-1. */
export function keyName(db: number, bytes: Uint8Array, offset: number, length: number): string {
  return `${db}:${Buffer.from(bytes.buffer, bytes.byteOffset + offset, length).toString('latin1')}`;
}

export function databaseOfName(name: string): number {
  return Number(name.slice(0, name.indexOf(':')));
}

export function keyOfName(name: string): Uint8Array {
  return Buffer.from(name.slice(name.indexOf(':') + 1), 'latin1');
}
