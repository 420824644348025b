/** The shows a product is seen in: those on air now, then those to come, as far as everyone may see their cards. */
import type { ShowFacts } from "../shared/protocol";
import { loadShow, loadShows } from "./server";

/** How many shows are looked into: the nearest are the ones that matter to somebody who reads a product page. */
const LOOKED_INTO_MAX = 5;

export async function showsWith(handle: string): Promise<ShowFacts[]> {
  const { live, upcoming } = await loadShows();
  const near = [...live, ...upcoming].slice(0, LOOKED_INTO_MAX);
  const found = await Promise.all(near.map((show) => hasProduct(show.show_id, handle)));
  return near.filter((_, i) => found[i]);
}

async function hasProduct(showId: string, handle: string): Promise<boolean> {
  try {
    return (await loadShow(showId)).cards.some((card) => card.product_handle === handle);
  } catch {
    return false; // a show for invited guests keeps its cards to itself
  }
}
