/** One offer, told to her alone: what it is, in the merchant's words where there are some; one tap takes it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { dealOf, numbersOf } from "../shared/fold";
import { locale, t } from "../shared/i18n";
import type { OfferFacts } from "../shared/protocol";
import { Button, Countdown, Icon, Picture } from "../shared/ui";
import { choose } from "./Card";
import { nameOfDeals } from "./claims";
import { REST_MS } from "./offers";
import { dismissOffer, noteOffer, takeOffer } from "./acts";
import { asked, offers, room } from "./room";
import { place, price, stockWords } from "./words";

export function OfferCard() {
  const offer = offers.value.now;
  return offer && <Standing offer={offer} key={offer.offer_id} />;
}

function Standing({ offer }: { offer: OfferFacts }) {
  const rested = useRest(offer.offer_id);
  const busy = asked.value.some((one) => one.offerId === offer.offer_id);
  const found = offer.deal_ids[0] ? dealOf(room.value, offer.deal_ids[0]) : dealOf(room.value, offer.about_deal_id);
  if (!found) return null;
  const act = (): void => {
    if (offer.counter) return noteOffer(offer);
    takeOffer(offer);
    // The card then speaks of what she took, not of what she missed.
    choose(found.card.card_id, found.deal.deal_id);
  };
  return (
    <section class="offer" aria-label={t("offer.title")} aria-live="polite">
      <Picture src={found.deal.image || found.card.image} name={found.card.title} class="offer-image" eager />
      <div class="offer-words">
        <p class="offer-say" dir="auto">
          {offer.words[locale.value] ?? offer.words["en"] ?? sentenceOf(offer)}
        </p>
        {offer.counter ? <Counter offer={offer} /> : <Thing offer={offer} />}
      </div>
      <button type="button" class="offer-close" aria-label={t("act.no_thanks")} onClick={() => dismissOffer(offer)}>
        <Icon name="close" size={18} />
      </button>
      <Button wide busy={busy} class="offer-button" aria-disabled={!rested || busy} onClick={() => rested && !busy && act()}>
        {offer.counter ? t("offer.noted") : offer.wait ? t("act.wait") : t("act.reserve")}
      </Button>
    </section>
  );
}

/** True once it has stood still long enough to be meant. */
function useRest(offerId: string): boolean {
  const [rested, setRested] = useState(false);
  const id = useRef(offerId);
  useEffect(() => {
    id.current = offerId;
    setRested(false);
    const timer = setTimeout(() => setRested(true), REST_MS);
    return () => clearTimeout(timer);
  }, [offerId]);
  return rested && id.current === offerId;
}

function Thing({ offer }: { offer: OfferFacts }) {
  const state = room.value;
  const first = dealOf(state, offer.deal_ids[0] ?? "");
  if (!first) return null;
  const minor = offer.deal_ids.length > 1 ? (first.card.bundle_minor ?? first.deal.price_minor) : first.deal.price_minor;
  return (
    <>
      <p class="offer-name" dir="auto">
        {nameOfDeals(state, offer.deal_ids)}
      </p>
      <p class="offer-facts tabular">
        <b>{price(minor)}</b>
        {!offer.wait && <span>{stockWords(numbersOf(state, first.deal)).text}</span>}
        {offer.until_ms !== null && (
          <span>
            {t("card.closes_in")} <Countdown toMs={offer.until_ms} />
          </span>
        )}
      </p>
    </>
  );
}

function Counter({ offer }: { offer: OfferFacts }) {
  const counter = offer.counter;
  if (!counter) return null;
  return (
    <>
      <p class="offer-name" dir="auto">
        {counter.name}
      </p>
      <p class="offer-facts">
        <span dir="auto">{[counter.address, counter.city].filter(Boolean).join(", ")}</span>
        {counter.hours && <span dir="auto">{counter.hours}</span>}
      </p>
    </>
  );
}

function sentenceOf(offer: OfferFacts): string {
  const about = nameOfDeals(room.value, [offer.about_deal_id]);
  if (offer.counter) return t("offer.counter", { about, count: offer.counter.units });
  if (offer.wait) return t("offer.wait_list", { about, nth: place(offer.place ?? 1) });
  if (offer.moment === "closing_soon") return t("offer.closing_soon");
  if (offer.moment === "paid") return t("offer.paid");
  if (offer.moment === "released") return t("offer.released");
  return offer.kind === "another_shade" ? t("offer.another_shade", { about }) : t("offer.like_it", { about });
}
