/** The kit: every page draws with these. Importing it brings its styles. */
import "./ui.css";

export { Avatar } from "./Avatar";
export { Button, IconButton, type ButtonProps } from "./Button";
export { Countdown, CountdownRing, useNowMs } from "./Countdown";
export { EmptyState } from "./EmptyState";
export { Icon, type IconName } from "./Icon";
export { Picture } from "./Picture";
export { Sheet, type SheetProps } from "./Sheet";
export { StockBar } from "./StockBar";
export { Swatch, type SwatchProps } from "./Swatch";
export { toast, Toasts } from "./Toast";
