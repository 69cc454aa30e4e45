// `npm run mock`: the mock for development, and for browser tests as a process of its own, as the real server is one.
// PORT (0 takes a free one), MOCK_PACE (pause between events in milliseconds), MOCK_EMPTY=1, MOCK_FIRST=1 and
// MOCK_PROVIDER (its label).
import { serve } from './server.mjs'

const { PORT, MOCK_PACE, MOCK_EMPTY, MOCK_FIRST, MOCK_PROVIDER } = process.env
const { url } = await serve({
  port: Number(PORT ?? 4400),
  pace: Number(MOCK_PACE ?? 40),
  empty: MOCK_EMPTY === '1',
  firstAdmin: MOCK_FIRST === '1',
  provider: MOCK_PROVIDER || null,
})
console.log(`listening ${url}`)
