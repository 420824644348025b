/** Bag, checkout, verification, hearts, how to see it, and the list of all cards as one file to fetch (see `later.tsx`). */
export { Bag } from "./Bag";
export { Checkout } from "./Checkout";
export { Drawer } from "./Drawer";
export { HeartButton, Hearts } from "./Hearts";
export { Languages } from "./Languages";
export { Seeing } from "./Seeing";
export { Viewing } from "./Viewing";
export { Slate } from "./Slate";
export { Verify } from "./Verify";
import "./longer";
