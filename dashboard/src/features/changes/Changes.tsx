export function Changes(_: { chosen: number | undefined }) {
  return null
}
