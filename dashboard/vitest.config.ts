import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.{ts,tsx}', 'mock/**/*.test.ts'],
          environment: 'happy-dom',
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['e2e/*.spec.ts', 'e2e/hostile/*.spec.ts'],
          environment: 'node',
          pool: 'forks',
          // One browser at a time: the machine may be small.
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'real',
          include: ['e2e/real/*.spec.ts'],
          environment: 'node',
          pool: 'forks',
          fileParallelism: false,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
