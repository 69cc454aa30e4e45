import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { createRoot } from 'react-dom/client'
import { queryClient } from './app/queries'
import { router } from './app/router'
import { applyTheme } from './app/theme'
import './styles/tokens.css'
import './styles/base.css'
import './styles/controls.css'
import './styles/prose.css'
import './styles/shell.css'
import './styles/session.css'
import './styles/changes.css'
import './styles/learnings.css'

applyTheme()
const place = document.getElementById('root')
if (place)
  createRoot(place).render(
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
    </QueryClientProvider>,
  )
