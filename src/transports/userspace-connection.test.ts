import { expect, it } from 'vitest';
import { openUserspacePair } from '../../test/support/userspace-pair.ts';
import type { Connection, ConnectionHandler } from './transport.ts';

function handler(onClose: () => void = () => {}): ConnectionHandler {
  return { onData() {}, onDrain() {}, onEnd() {}, onClose };
}

it('a connection that is over keeps its IPv6 address, whoever has its number now', async () => {
  const [server, client] = openUserspacePair({ seed: 3 }, 'fd00::', 64);
  try {
    let accepted: Connection | null = null;
    const gone = new Promise<void>((resolve) => {
      void server.listen('fd00::1', 6379, 8, (connection) => {
        accepted = connection;
        return handler(resolve);
      });
    });
    const connection = await client.connect('fd00::1', 6379, () => handler());
    connection.destroy();
    await gone;
    const { book } = server.stack.ip;
    book.sweep(0, () => {});
    const other = Uint8Array.of(0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    for (let i = 0; i < 2048; i++) {
      other[14] = i >> 8;
      other[15] = i;
      book.intern(other, 0);
    }
    expect((accepted as Connection | null)?.remoteAddress).toBe('fd00::2');
  } finally {
    await client.close(0);
    await server.close(0);
  }
});
