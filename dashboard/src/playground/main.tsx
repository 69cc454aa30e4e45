import { createGraphiQLFetcher } from '@graphiql/toolkit'
import { GraphiQL } from 'graphiql'
import 'graphiql/setup-workers/vite'
import 'graphiql/style.css'
import { createClient } from 'graphql-ws'
import { createRoot } from 'react-dom/client'
import { OWN_PAGE } from '../graphql/client'
import { socketUrl } from '../graphql/live'
import './playground.css'

/** What stands there at first: it answers for everybody, and shows how one gets on. */
const FIRST = `# What you run here is done as you.
# Ctrl-Space proposes what fits, Ctrl-Enter runs.

query Recent {
  viewer { role person { name } }
  sessions(first: 5) { nodes { number title } }
}
`

const fetcher = createGraphiQLFetcher({
  url: '/graphql',
  headers: OWN_PAGE,
  // A client that is lazy: without a subscription there is no connection.
  wsClient: createClient({ url: socketUrl }),
  fetch: async (...asked) => {
    const answer = await fetch(...asked)
    if (answer.status === 401) location.assign(`/sign-in?next=${encodeURIComponent('/playground')}`)
    return answer
  },
})

const place = document.getElementById('root')
if (place)
  createRoot(place).render(
    <GraphiQL
      fetcher={fetcher}
      defaultQuery={FIRST}
      isHeadersEditorEnabled={false}
      shouldPersistHeaders={false}
    >
      <GraphiQL.Logo>
        <a href="/">Runyard</a>
      </GraphiQL.Logo>
    </GraphiQL>,
  )
