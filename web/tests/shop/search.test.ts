import { expect, test } from 'vitest'
import { found, plain, typesOf } from '../../src/shop/search'

const product = (title: string, type: string, shades: string[] = [], tags: string[] = []) => ({
  title,
  type,
  shades,
  tags,
  vendor: 'Maison',
})
const shelf = [
  product('Velvet Lipstick', 'Lips', ['Rose', 'Brick']),
  product('Crème de nuit', 'Skin', [], ['night']),
  product('Lip Oil', 'Lips', ['Honey']),
]
const titles = (query: string, type = ''): string[] => found(shelf, query, type).map((p) => p.title)

test('nothing typed shows everything in its order', () => {
  expect(titles('')).toEqual(['Velvet Lipstick', 'Crème de nuit', 'Lip Oil'])
})
test('accents and capitals do not matter', () => {
  expect(plain(' CRÈME ')).toBe('creme')
  expect(titles('creme')).toEqual(['Crème de nuit'])
})
test('a title that begins with the word comes first', () => {
  expect(titles('lip')).toEqual(['Lip Oil', 'Velvet Lipstick'])
})
test('shades and tags are found too', () => {
  expect(titles('brick')).toEqual(['Velvet Lipstick'])
  expect(titles('night')).toEqual(['Crème de nuit'])
})
test('all words have to match', () => {
  expect(titles('lip honey')).toEqual(['Lip Oil'])
  expect(titles('lip night')).toEqual([])
})
test('a kind of product narrows the search', () => {
  expect(titles('', 'Skin')).toEqual(['Crème de nuit'])
  expect(typesOf(shelf)).toEqual(['Lips', 'Skin'])
})
