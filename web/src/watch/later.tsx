/**
 * Parts of the page that nobody needs at first sight: a phone's first load has a budget. The till (bag, checkout, and what else no card needs)
 * comes as soon as she is in the room, so it is there before her first tap; what is told to her alone, with the first
 * such word. Each is one file, fetched once; a fetch that failed is tried again when it is next needed.
 */
import { effect, signal, type ReadonlySignal } from "@preact/signals";
import type { ComponentProps } from "preact";
import { checkoutRid } from "./checkout";
import { claims, offers, room, tab } from "./room";

type Private = typeof import("./Private");
type Till = typeof import("./Till");

const inTheRoom = (): boolean => room.value.you !== null || checkoutRid.value !== "";
const isToldSomething = (): boolean =>
  claims.value.length > 0 || offers.value.now !== null || offers.value.next !== null || tab.value === "private" || hasAsked();
/** She asked in private before: an answer may have come while she was away. */
const hasAsked = (): boolean => inTheRoom() && sessionStorage.getItem("lc.asked") === room.value.show?.show_id;

/** Whose picture comes by a player of somebody else's. */
const isElsewhere = (): boolean => room.value.show?.video.kind === "youtube";

const elsewhere = later(isElsewhere, () => import("./YouTube"));
const till = later(inTheRoom, () => import("./Till"));
const own = later(isToldSomething, () => import("./Private"));

function later<Part>(isNeeded: () => boolean, fetch: () => Promise<Part>): ReadonlySignal<Part | null> {
  const part = signal<Part | null>(null);
  let fetching = false;
  effect(() => {
    if (!isNeeded() || fetching || part.peek()) return;
    fetching = true;
    fetch()
      .then((came) => (part.value = came))
      .catch(() => undefined)
      .finally(() => (fetching = false));
  });
  return part;
}

export function YouTubePicture(props: ComponentProps<typeof import("./YouTube")["YouTubePicture"]>) {
  const Part = elsewhere.value?.YouTubePicture;
  return Part ? <Part {...props} /> : null;
}

export function Bag(props: ComponentProps<Till["Bag"]>) {
  const Part = till.value?.Bag;
  return Part ? <Part {...props} /> : null;
}

export function Checkout() {
  const Part = till.value?.Checkout;
  return Part ? <Part /> : null;
}

export function Drawer(props: ComponentProps<Till["Drawer"]>) {
  const Part = till.value?.Drawer;
  return Part ? <Part {...props} /> : null;
}

export function Hearts() {
  const Part = till.value?.Hearts;
  return Part ? <Part /> : null;
}

export function HeartButton() {
  const Part = till.value?.HeartButton;
  return Part ? <Part /> : null;
}

export function Seeing(props: ComponentProps<Till["Seeing"]>) {
  const Part = till.value?.Seeing;
  return Part ? <Part {...props} /> : null;
}

export function Languages(props: ComponentProps<Till["Languages"]>) {
  const Part = till.value?.Languages;
  return Part ? <Part {...props} /> : null;
}

export function Viewing(props: ComponentProps<Till["Viewing"]>) {
  const Part = till.value?.Viewing;
  return Part ? <Part {...props} /> : null;
}

export function Slate(props: ComponentProps<Till["Slate"]>) {
  const Part = till.value?.Slate;
  return Part ? <Part {...props} /> : null;
}

export function Verify() {
  const Part = till.value?.Verify;
  return Part ? <Part /> : null;
}

export function OfferCard() {
  const Part = own.value?.OfferCard;
  return Part ? <Part /> : null;
}

export function PrivateTalk() {
  const Part = own.value?.PrivateTalk;
  return Part ? <Part /> : null;
}

export function ClaimAnswers(props: ComponentProps<Private["ClaimAnswers"]>) {
  const Part = own.value?.ClaimAnswers;
  return Part ? <Part {...props} /> : null;
}
