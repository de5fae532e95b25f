// DataViews of byte arrays, for those who read and write four bytes at a time: one is made per array and remembered. Two are
// at hand at once (a frame arena and a send buffer is the usual pair), the others in a map. For stack/.

const views = new WeakMap<Uint8Array, DataView>();
let recentBytes: Uint8Array = new Uint8Array(0);
let recentView: DataView = new DataView(recentBytes.buffer);
let olderBytes = recentBytes;
let olderView = recentView;
/** The latest that were met once and are not in the map. */
const strangers: (Uint8Array | null)[] = [null, null, null, null];
let nextStranger = 0;

/** The view of an array that lives for long. */
export function viewOf(bytes: Uint8Array): DataView {
  if (bytes === recentBytes) return recentView;
  if (bytes === olderBytes) return olderView;
  return fetchView(bytes) ?? makeView(bytes);
}

/** The same for any array; null for one that was met only once: it may be gone tomorrow, and is not worth an entry. */
export function viewIfKnown(bytes: Uint8Array): DataView | null {
  if (bytes === recentBytes) return recentView;
  if (bytes === olderBytes) return olderView;
  const known = fetchView(bytes);
  if (known !== undefined) return known;
  if (strangers.includes(bytes)) return makeView(bytes);
  strangers[nextStranger] = bytes;
  nextStranger = (nextStranger + 1) & 3;
  return null;
}

function fetchView(bytes: Uint8Array): DataView | undefined {
  const view = views.get(bytes);
  if (view === undefined) return undefined;
  olderBytes = recentBytes;
  olderView = recentView;
  recentBytes = bytes;
  recentView = view;
  return view;
}

function makeView(bytes: Uint8Array): DataView {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  views.set(bytes, view);
  return view;
}
