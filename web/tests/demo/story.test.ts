import { describe, expect, test } from 'vitest'
import { clock, frameOf, momentOf } from '../../src/demo/story'

const steps = [
  { at_seconds: 0, text: 'a' },
  { at_seconds: 12, text: 'b' },
  { at_seconds: 30, text: 'c' },
]

describe('where the story stands', () => {
  test('at your arrival', () => {
    expect(momentOf(steps, 0)).toEqual({ index: 0, progress: 0, next_in_seconds: 12, over: false })
  })
  test('halfway to the card', () => {
    expect(momentOf(steps, 6)).toMatchObject({ index: 0, progress: 0.5, next_in_seconds: 6 })
  })
  test('on the second, not before it', () => {
    expect(momentOf(steps, 11.99).index).toBe(0)
    expect(momentOf(steps, 12).index).toBe(1)
  })
  test('the last step ends in the sum', () => {
    expect(momentOf(steps, 31)).toMatchObject({ index: 2, next_in_seconds: null, over: false })
    expect(momentOf(steps, 40)).toMatchObject({ index: 2, progress: 1, over: true })
  })
  test('no steps, no story', () => {
    expect(momentOf([], 5)).toEqual({ index: -1, progress: 0.625, next_in_seconds: null, over: false })
  })
})

test('a step turns to the frame it speaks of', () => {
  expect(frameOf('The rival reads: sold out, 6 still paying.')).toBe('rival')
  expect(frameOf('You choose a counter.')).toBe('you')
  expect(frameOf('The host shows a card.')).toBe('host')
  expect(frameOf('A moving picture.')).toBeNull()
})

test('clock', () => {
  expect(clock(125)).toBe('2:05')
  expect(clock(0.2)).toBe('0:01')
  expect(clock(-3)).toBe('0:00')
})
