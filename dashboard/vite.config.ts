import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// For `npm run dev`: a running server, the mock or the real one.
const server = process.env.RUNYARD_URL ?? 'http://127.0.0.1:4400'

export default defineConfig({
  base: '/',
  plugins: [react()],
  build: {
    target: 'es2023',
    sourcemap: false,
    // The content policy allows no inline script: Vite's preload shim would be one.
    modulePreload: { polyfill: false },
    // Small files stay files: `font-src` and `style-src` do not allow `data:`.
    assetsInlineLimit: 0,
    rolldownOptions: { input: ['index.html', 'playground.html'] },
  },
  server: {
    host: '127.0.0.1',
    proxy: {
      '/graphql': { target: server, ws: true },
      '/auth': { target: server },
    },
  },
})
