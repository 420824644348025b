/** Bag, checkout, verification, hearts and the list of all cards as one file to fetch (see `later.tsx`). */
export { Bag } from "./Bag";
export { Checkout } from "./Checkout";
export { Drawer } from "./Drawer";
export { HeartButton, Hearts } from "./Hearts";
export { Slate } from "./Slate";
export { Verify } from "./Verify";
import "./longer";
