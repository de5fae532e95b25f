// Six projects: unit beside the code, contract suites run over every implementation, packet scripts, the
// fuzzer, the simulator, and the lab (root, network namespaces, real peers).
import { defineConfig } from 'vitest/config';

// Only what hangs takes so long; a busy machine does not.
const shared = { testTimeout: 120_000, hookTimeout: 60_000, expect: { poll: { timeout: 20_000 } } };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: ['{io-engine,stack,src}/**/*.test.ts', 'test/unit/**/*.test.ts', 'test/redis/**/*.test.ts'],
        },
      },
      {
        test: {
          ...shared,
          name: 'contract',
          include: ['test/{contract,crash,soak}/**/*.test.ts'],
          fileParallelism: false,
        },
      },
      { test: { ...shared, name: 'packets', include: ['test/packets/**/*.test.ts'] } },
      { test: { name: 'fuzz', include: ['test/fuzz/**/*.test.ts'], testTimeout: 300_000 } },
      { test: { name: 'sim', include: ['test/sim/**/*.test.ts'], testTimeout: 300_000 } },
      {
        test: {
          name: 'lab',
          include: ['test/lab/**/*.test.ts'],
          globalSetup: 'test/lab/sweep.ts',
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
