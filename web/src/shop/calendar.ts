/**
 * A show as an entry for a calendar (RFC 5545). What arrives: a show. What leaves: the text of an .ics file.
 */

export interface Entry {
  show_id: string
  title: string
  about: string
  host_name: string
  at_ms: number
  url: string
}

const LENGTH_MS = 45 * 60_000

const stamp = (ms: number): string =>
  new Date(ms)
    .toISOString()
    .replace(/[-:]/g, '')
    .replace(/\.\d+/, '')
const escaped = (text: string): string => text.replace(/[\\;,]/g, '\\$&').replace(/\r?\n/g, '\\n')

/** Lines longer than 75 bytes go on in the next line behind a space, never inside a character. */
function folded(line: string): string {
  const encoder = new TextEncoder()
  const parts: string[] = []
  let part = ''
  let bytes = 0
  for (const character of line) {
    const size = encoder.encode(character).length
    if (bytes + size > 74) {
      parts.push(part)
      part = ''
      bytes = 0
    }
    part += character
    bytes += size
  }
  return [...parts, part].join('\r\n ')
}

export function icsOf(entry: Entry, now_ms: number): string {
  return [
    'BEGIN:VCALENDAR',
    'VERSION:2.0',
    'PRODID:-//livecommerce//shows//EN',
    'BEGIN:VEVENT',
    `UID:${entry.show_id}@livecommerce`,
    `DTSTAMP:${stamp(now_ms)}`,
    `DTSTART:${stamp(entry.at_ms)}`,
    `DTEND:${stamp(entry.at_ms + LENGTH_MS)}`,
    `SUMMARY:${escaped(entry.title)}`,
    `DESCRIPTION:${escaped([entry.host_name, entry.about].filter(Boolean).join('\n'))}`,
    `URL:${entry.url}`,
    'BEGIN:VALARM',
    'ACTION:DISPLAY',
    'TRIGGER:-PT10M',
    `DESCRIPTION:${escaped(entry.title)}`,
    'END:VALARM',
    'END:VEVENT',
    'END:VCALENDAR',
  ]
    .map(folded)
    .join('\r\n')
    .concat('\r\n')
}
