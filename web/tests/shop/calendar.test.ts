import { expect, test } from 'vitest'
import { icsOf } from '../../src/shop/calendar'

const entry = {
  show_id: 'sh_1',
  title: 'Cloud Class; lips, at last',
  about: 'Bring a mirror.\nAnd tea.',
  host_name: 'Léa',
  at_ms: Date.UTC(2026, 10, 24, 19, 0, 0),
  url: 'https://shop.example/watch/sh_1',
}

test('a calendar reads start, name and place', () => {
  const text = icsOf(entry, 0)
  expect(text).toContain('DTSTART:20261124T190000Z\r\n')
  expect(text).toContain('SUMMARY:Cloud Class\\; lips\\, at last\r\n')
  expect(text).toContain('DESCRIPTION:Léa\\nBring a mirror.\\nAnd tea.\r\n')
  expect(text.endsWith('END:VCALENDAR\r\n')).toBe(true)
})
test('no line is longer than 75 bytes, and no character is cut', () => {
  const long = icsOf({ ...entry, about: '口红'.repeat(60) }, 0)
  const encoder = new TextEncoder()
  for (const line of long.split('\r\n')) expect(encoder.encode(line).length).toBeLessThanOrEqual(75)
  expect(long.replace(/\r\n /g, '')).toContain('口红'.repeat(60))
})
