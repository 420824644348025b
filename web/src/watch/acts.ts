/** What she can do with parts of the page that come later: offers, hearts, her address, how late her picture is. */
import { gone } from "./offers";
import type { OfferFacts } from "../shared/protocol";
import { offers, pictureDelayMs, reserve, send, verifyFor } from "./room";
import { keepPass } from "./session";

const DELAY_MS_MAX = 3_600_000;

/** One tap takes an offer: an ordinary reservation that names it. */
export function takeOffer(offer: OfferFacts): void {
  reserve(offer.deal_ids, offer.wait, 1, offer.offer_id);
}

export function dismissOffer(offer: OfferFacts): void {
  send({ t: "offer_seen", offer_id: offer.offer_id, did: "dismissed" });
  offers.value = gone(offers.value, offer.offer_id);
}

/** A counter holds nothing for her; that she means to go there is what can be counted. */
export function noteOffer(offer: OfferFacts): void {
  send({ t: "offer_seen", offer_id: offer.offer_id, did: "noted" });
  offers.value = gone(offers.value, offer.offer_id);
}

/** She confirmed her address: the open line learns it first, then the tap that was refused is made again. */
export function verified(token: string): void {
  keepPass(token);
  send({ t: "token", token });
  verifyFor.value?.();
  verifyFor.value = null;
}

export function sendHeart(): void {
  send({ t: "react", kind: "heart" });
}

/** How late her picture is: the desk hears the median of all. */
export function tellDelay(): void {
  const ms = Math.round(pictureDelayMs() ?? -1);
  if (ms >= 0 && ms <= DELAY_MS_MAX) send({ t: "delay", ms });
}

