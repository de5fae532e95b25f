// One packet of a capture, as whoever reads the file hands it in (io-engine/capture-file.ts makes them). For src/observe.

export interface CapturedPacket {
  /** Microseconds since 1970. */
  readonly unixUs: number;
  /** LINKTYPE_* of its interface. */
  readonly linkType: number;
  /** What was kept of it. */
  readonly bytes: Uint8Array;
  readonly comment: string;
}
