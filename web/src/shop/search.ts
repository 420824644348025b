/**
 * Finding a product among those on the page. What arrives: products and what was typed or chosen. What leaves: the
 * products that match, best first. It does not know where they came from.
 */

export interface Findable {
  title: string
  vendor: string
  type: string
  tags: readonly string[]
  shades: readonly string[]
}

/** Lower case, without accents, so that "creme" finds "Crème". */
export function plain(text: string): string {
  return text
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .trim()
}

/** How well one product answers all words: 0 for not at all, more where the title begins with a word. */
export function score(product: Findable, words: readonly string[]): number {
  const title = plain(product.title)
  const rest = plain([product.vendor, product.type, ...product.tags, ...product.shades].join(' '))
  let total = 0
  for (const word of words) {
    if (title.startsWith(word)) total += 8
    else if (title.split(/[\s-]+/).some((part) => part.startsWith(word))) total += 5
    else if (title.includes(word)) total += 3
    else if (rest.includes(word)) total += 1
    else return 0
  }
  return total
}

export function found<T extends Findable>(products: readonly T[], query: string, type: string): T[] {
  const ofType = type ? products.filter((product) => product.type === type) : [...products]
  const words = plain(query).split(/\s+/).filter(Boolean)
  if (!words.length) return ofType
  return ofType
    .map((product) => ({ product, points: score(product, words) }))
    .filter(({ points }) => points > 0)
    .sort((a, b) => b.points - a.points)
    .map(({ product }) => product)
}

/** The kinds of product there are, the most frequent first. */
export function typesOf(products: readonly Findable[]): string[] {
  const counts = new Map<string, number>()
  for (const { type } of products) if (type) counts.set(type, (counts.get(type) ?? 0) + 1)
  return [...counts.entries()].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).map(([type]) => type)
}
