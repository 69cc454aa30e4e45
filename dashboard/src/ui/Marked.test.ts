import { describe, expect, it } from 'vitest'
import { parted, wordsOf } from './Marked'

describe('what a search found', () => {
  it('is marked by the words that were looked for', () => {
    expect(wordsOf('HTTP "the client" state:failed repo:"my shop" author:ada https://x ""')).toEqual([
      'http',
      'the client',
      'https://x',
    ])
    expect(parted('The HTTP client: http', ['http', 'p c'])).toEqual([
      { text: 'The ', marked: false },
      { text: 'HTTP c', marked: true },
      { text: 'lient: ', marked: false },
      { text: 'http', marked: true },
    ])
    expect(parted('', ['x'])).toEqual([])
    // A letter that becomes two when it is made small.
    expect(parted('İx', ['x'])).toEqual([{ text: 'İx', marked: false }])
  })
})
