// `npm run mock`: the mock for development. MOCK_EMPTY=1 starts without sessions, MOCK_PACE sets the pause between events.
import { serve } from './server.mjs'

const { url } = await serve({
  port: Number(process.env.PORT ?? 4400),
  pace: Number(process.env.MOCK_PACE ?? 40),
  empty: process.env.MOCK_EMPTY === '1',
})
console.log(`listening ${url} (ada@example.com, correct horse battery)`)
