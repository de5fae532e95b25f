// What V8 believes to be held outside its heap on behalf of objects in it, which decides when it collects. Its own C++ function for
// native add-ons, as Node exports it; where a version of Node does not, nothing happens. For io-engine/linux only.
import koffi from 'koffi';

interface ExternalMemory {
  /** False: this Node does not let us. */
  readonly isKnown: boolean;
  /** @param bytes more of it, or less. @returns all of it, bytes; 0 when it is not known. */
  add(bytes: number): number;
}

// v8::Isolate::GetCurrent() and v8::Isolate::AdjustAmountOfExternalAllocatedMemory(int64_t).
const CURRENT = '_ZN2v87Isolate10GetCurrentEv';
const ADJUST = '_ZN2v87Isolate37AdjustAmountOfExternalAllocatedMemoryEl';

function open(): ExternalMemory {
  try {
    const library = koffi.load(null);
    const current: () => bigint | number = library.func(`uintptr_t ${CURRENT}()`);
    const adjust: (isolate: bigint | number, bytes: number) => bigint | number = library.func(
      `int64_t ${ADJUST}(uintptr_t isolate, int64_t bytes)`,
    );
    return { isKnown: true, add: (bytes) => Number(adjust(current(), bytes)) };
  } catch {
    return { isKnown: false, add: () => 0 };
  }
}

export const externalMemory: ExternalMemory = open();
