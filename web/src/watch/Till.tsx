/** Bag, checkout, verification, hearts, how to see it, and the list of all cards as one file to fetch (see `later.tsx`). */
export { Bag } from "./Bag";
export { Checkout } from "./Checkout";
export { Drawer } from "./Drawer";
export { HeartButton, Hearts } from "./Hearts";
export { Languages } from "./Languages";
export { Seeing } from "./Seeing";
export { Verify } from "./Verify";
export { Viewing } from "./Viewing";
