/** Numbers and times as people read them. */

export function money(dollars: number): string {
  if (dollars === 0) return '$0.00'
  return dollars < 0.01 ? `$${dollars.toFixed(4)}` : `$${dollars.toFixed(2)}`
}

export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`
}

export function milliseconds(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`
  return ms < 60_000 ? `${(ms / 1_000).toFixed(1)} s` : duration(ms / 1_000)
}

export function count(n: number): string {
  if (n < 1_000) return String(n)
  return n < 1_000_000 ? `${(n / 1_000).toFixed(n < 10_000 ? 1 : 0)} k` : `${(n / 1_000_000).toFixed(1)} M`
}

export function bytes(n: number): string {
  if (n < 1_024) return `${n} B`
  return n < 1 << 20 ? `${(n / 1_024).toFixed(1)} KiB` : `${(n / (1 << 20)).toFixed(1)} MiB`
}

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const exactFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
const dayFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' })

export const clock = (at: string): string => clockFormat.format(new Date(at))
export const exact = (at: string): string => exactFormat.format(new Date(at))
export const day = (at: string): string => dayFormat.format(new Date(at))

/** `just now`, `5 min ago`, `3 h ago`, then the day; times to come as `in 5 min`. */
export function relative(at: string, now: number): string {
  const seconds = (now - Date.parse(at)) / 1_000
  const ahead = seconds < 0
  const distance = Math.abs(seconds)
  if (distance < 45) return ahead ? 'in a moment' : 'just now'
  if (distance >= 7 * 86_400) return day(at)
  const words =
    distance < 3_600
      ? `${Math.max(1, Math.round(distance / 60))} min`
      : distance < 86_400
        ? `${Math.round(distance / 3_600)} h`
        : `${Math.round(distance / 86_400)} d`
  return ahead ? `in ${words}` : `${words} ago`
}

export const plural = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`
