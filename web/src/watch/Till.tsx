/** Bag and checkout as one file to fetch (see `later.tsx`). */
export { Bag } from "./Bag";
export { Checkout } from "./Checkout";
