/** The card on the picture: what it is, its shades, its price, how much is left, and one tap to have it. */
import { computed, signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { numbersOf } from "../shared/fold";
import { t } from "../shared/i18n";
import { percentOff } from "../shared/money";
import { REFUSAL, type CardFacts, type DealFacts, type Hold } from "../shared/protocol";
import { Button, Countdown, CountdownRing, Icon, Picture, StockBar, Swatch, useNowMs } from "../shared/ui";
import { openCheckout } from "./checkout";
import { cardNumbers, dealToShow, offerOf, undrawn, type Offer } from "./offer";
import { accept, asked, giveBack, offers, refusedDeal, reserve, room, verifyFor } from "./room";
import { at, place, price, shadeWords, stockWords } from "./words";

/** The shade chosen on each card; it stays while the card comes and goes. */
export const chosen = signal<Readonly<Record<string, string>>>({});

export const folded = signal(false);

/** After the button's meaning changes under a finger, it means nothing for this long. */
export const SETTLE_MS = 500;

export function choose(cardId: string, dealId: string): void {
  chosen.value = { ...chosen.value, [cardId]: dealId };
}

export function LiveCard({ card, inList }: { card: CardFacts; inList?: boolean }) {
  const deal = dealToShow(room.value, card, chosen.value[card.card_id]);
  // The shade she sees first stays hers to tap: it must not become another one because it sells out.
  useEffect(() => {
    if (deal && !chosen.value[card.card_id]) choose(card.card_id, deal.deal_id);
  }, [card.card_id, deal?.deal_id]);
  if (folded.value && !inList) return <FoldedCard card={card} deal={deal} />;
  return (
    <article class={`card ${inList ? "card-listed" : ""}`} aria-label={card.title}>
      <div class="card-top">
        <Picture src={(card.kind !== "bundle" && deal?.image) || card.image} name={card.title} class="card-image" eager={!inList} />
        <div class="card-words">
          <h2 dir="auto">{card.title}</h2>
          {card.line && (
            <p class="card-line" dir="auto">
              {card.line}
            </p>
          )}
          <Price card={card} deal={deal} />
          {deal && deal.limit_by !== "guest" && <p class="card-for">{t(`card.for_${deal.limit_by}`)}</p>}
          <ClaimHint card={card} />
        </div>
        {!inList && (
          <button type="button" class="card-fold" onClick={() => (folded.value = true)} aria-label={t("card.fold")}>
            <Icon name="down" size={18} />
          </button>
        )}
      </div>
      {card.kind === "bundle" ? <BundleParts card={card} /> : <Shades card={card} deal={deal} />}
      <Promises cardId={card.card_id} />
      <Stock card={card} deal={deal} />
      <Action card={card} deal={deal} />
    </article>
  );
}

function FoldedCard({ card, deal }: { card: CardFacts; deal: DealFacts | null }) {
  return (
    <button type="button" class="card card-folded" onClick={() => (folded.value = false)} aria-label={t("card.unfold")}>
      <Picture src={deal?.image || card.image} name={card.title} class="card-image" eager />
      <span class="card-folded-title" dir="auto">
        {card.title}
      </span>
      <Price card={card} deal={deal} short />
      <Icon name="up" size={18} />
    </button>
  );
}

function Price({ card, deal, short }: { card: CardFacts; deal: DealFacts | null; short?: boolean }) {
  const isBundle = card.kind === "bundle" && card.bundle_minor !== null;
  const now = isBundle ? card.bundle_minor : (deal?.price_minor ?? null);
  if (now === null) return null;
  const apart = card.deals.reduce((sum, one) => sum + one.price_minor, 0);
  const was = isBundle ? (apart > now ? apart : null) : (deal?.was_minor ?? null);
  const off = percentOff(now, was);
  return (
    <p class="price">
      <span class="price-now tabular">{price(now)}</span>
      {was !== null && off > 0 && (
        <>
          <s class="price-was tabular">
            <span class="sr-only">{t("price.was")} </span>
            {price(was)}
          </s>
          {!short && <span class="price-off">−{off}%</span>}
        </>
      )}
    </p>
  );
}

/** What to write in the chat to have it, for those who are used to that. */
function ClaimHint({ card }: { card: CardFacts }) {
  const { claims } = room.value.show ?? {};
  const keyword = claims?.keywords[0];
  if (!claims?.on || !keyword || !card.code || card.deals.length === 0) return null;
  const line = `${keyword} ${card.code}`;
  return (
    <p class="card-claim">
      <Icon name="chat" size={14} />
      <span>{t(card.deals.length > 1 && card.kind !== "bundle" ? "claim.hint_shade" : "claim.hint", { line })}</span>
    </p>
  );
}

function Shades({ card, deal }: { card: CardFacts; deal: DealFacts | null }) {
  if (card.deals.length < 2) return null;
  return (
    <fieldset class="shades">
      <legend class="sr-only">{t("card.shades")}</legend>
      <div class="swatches">
        {card.deals.map((one) => {
          const numbers = numbersOf(room.value, one);
          return (
            <Swatch
              key={one.deal_id}
              group={`shade-${card.card_id}`}
              colour={one.swatch}
              name={one.label}
              words={shadeWords(numbers)}
              chosen={one.deal_id === deal?.deal_id}
              soldOut={numbers.available === 0}
              low={numbers.available > 0 && numbers.available <= 3}
              onChoose={() => choose(card.card_id, one.deal_id)}
            />
          );
        })}
      </div>
    </fieldset>
  );
}

function BundleParts({ card }: { card: CardFacts }) {
  return (
    <ul class="bundle-parts" aria-label={t("card.bundle")}>
      {card.deals.map((deal) => (
        <li key={deal.deal_id}>
          <span class="bundle-dot" style={deal.swatch ? { background: deal.swatch } : undefined} aria-hidden="true" />
          <span dir="auto">{deal.label}</span>
          <span class="tabular muted">{shadeWords(numbersOf(room.value, deal))}</span>
        </li>
      ))}
    </ul>
  );
}

function Promises({ cardId }: { cardId: string }) {
  const texts = room.value.promises[cardId] ?? [];
  if (texts.length === 0) return null;
  return (
    <ul class="promises">
      {texts.map((text) => (
        <li key={text}>
          <Icon name="gift" size={16} />
          <span dir="auto">{text}</span>
        </li>
      ))}
    </ul>
  );
}

function Stock({ card, deal }: { card: CardFacts; deal: DealFacts | null }) {
  const numbers = cardNumbers(room.value, card, deal);
  if (!numbers) return null;
  const words = stockWords(numbers);
  const closesAtMs = deal?.status === "open" ? deal.closes_at_ms : null;
  return (
    <div class="stock">
      <div class="stock-line">
        <span class={`stock-words is-${words.tone} tabular`}>
          {card.deals.length > 1 && deal && card.kind !== "bundle" && <b dir="auto">{deal.label}: </b>}
          {words.text}
        </span>
        {closesAtMs !== null && (
          <span class="stock-closes">
            <Icon name="clock" size={14} /> {t("card.closes_in")} <Countdown toMs={closesAtMs} />
          </span>
        )}
      </div>
      <StockBar numbers={numbers} label={words.text} />
    </div>
  );
}

// --- the button ----------------------------------------------------------------------------------------------------

interface Act {
  /** What a tap does; "none" where a tap does nothing. */
  name: string;
  label: string;
  kind: "primary" | "soft" | "quiet";
  busy?: boolean;
  run?: () => void;
}

/** Where a refusal is said instead of what the button would say. */
const SPOKEN: ReadonlySet<Offer["word"]> = new Set(["open", "enter", "drawing", "sold_out"]);

const hasAsked = computed(() => asked.value.length > 0);

function Action({ card, deal }: { card: CardFacts; deal: DealFacts | null }) {
  const nowMs = useNowMs();
  const offer = offerOf(room.value, card, deal, nowMs, asked.value);
  const ids = card.kind === "bundle" ? card.deals.map((one) => one.deal_id) : deal ? [deal.deal_id] : [];
  const refusal = refusedDeal.value?.key === ids.join(" ") ? refusedDeal.value : null;
  const act = actOf(offer, card, ids, refusal?.number ?? 0);
  const settled = useSettled(act.name);
  if (offer.word === "look") return null;
  return (
    <div class={`act act-${offer.word}`}>
      <Sentence offer={offer} deal={deal} refusal={SPOKEN.has(offer.word) ? refusal : null} />
      <Button
        wide
        size="l"
        kind={act.kind}
        busy={act.busy}
        class="act-button"
        data-act={act.name}
        aria-disabled={!act.run || !settled}
        onClick={() => settled && act.run?.()}
      >
        {offer.word === "opening" ? (
          <>
            {t("act.opens_in")} <Countdown toMs={offer.opensAtMs} />
          </>
        ) : (
          act.label
        )}
      </Button>
      <Aside offer={offer} card={card} deal={deal} />
    </div>
  );
}

/** True once the button's meaning has stood still long enough; opening and the first drawing count at once. */
function useSettled(name: string): boolean {
  const before = useRef(name);
  const [settling, setSettling] = useState(false);
  useEffect(() => {
    const was = before.current;
    before.current = name;
    if (was === name || was === "none:opening") return;
    setSettling(true);
    const timer = setTimeout(() => setSettling(false), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [name]);
  return !settling && (before.current === name || before.current === "none:opening");
}

function actOf(offer: Offer, card: CardFacts, ids: readonly string[], refused: number): Act {
  const none = (label: string): Act => ({ name: `none:${offer.word}`, label, kind: "soft" });
  // Asked for her address: then the same tap is made again.
  if (refused === REFUSAL.VERIFIED_ONLY && (offer.word === "open" || offer.word === "sold_out")) {
    const again = (): void => reserve(ids, offer.word === "sold_out");
    return { name: "verify", label: t("act.verify"), kind: "primary", run: () => (verifyFor.value = again) };
  }
  switch (offer.word) {
    case "look":
      return none("");
    case "soon":
      return none(t("act.soon"));
    case "opening":
      return none("");
    case "open":
      return {
        name: "reserve",
        label: card.kind === "bundle" ? t("act.reserve_bundle", { count: ids.length }) : t("act.reserve"),
        kind: "primary",
        run: () => reserve(ids, false),
      };
    case "enter":
      return { name: "enter", label: t("act.enter"), kind: "primary", run: () => reserve(ids, false) };
    case "drawing":
      return none(t("act.drawing"));
    case "entered":
      return none(t("act.entered"));
    case "pending": {
      const enters = card.deals.some((one) => ids.includes(one.deal_id) && undrawn(one));
      const label = offer.wait ? t("act.wait") : enters ? t("act.enter") : t("act.reserve");
      return { name: enters ? "enter" : "reserve", label, kind: "primary", busy: true };
    }
    case "held":
      return { name: "checkout", label: t("act.checkout"), kind: "primary", run: () => openCheckout(offer.hold.rid) };
    case "paying":
      return { name: "pay", label: isDeclined(offer.hold) ? t("declined.again") : t("act.pay"), kind: "primary", run: () => openCheckout(offer.hold.rid) };
    case "offered":
      return {
        name: "take",
        label: t("act.take"),
        kind: "primary",
        busy: hasAsked.value && asked.value.some((one) => one.rid === offer.hold.rid),
        run: () => accept(offer.hold.rid, ids),
      };
    case "waiting":
      return { name: "leave", label: t("act.leave_line"), kind: "quiet", run: () => giveBack(offer.hold.rid) };
    case "sold_out":
      if (!offer.mayWait) return none(t("stock.out"));
      return { name: "wait", label: t("act.wait"), kind: "soft", run: () => reserve(ids, true) };
    case "limit":
      return none(t("act.limit"));
    case "closed":
      return none(t("act.closed"));
  }
}

function Sentence({ offer, deal, refusal }: { offer: Offer; deal: DealFacts | null; refusal: { number: number; text: string } | null }) {
  if (refusal) {
    const soldOut = offer.word === "sold_out" && refusal.number === REFUSAL.SOLD_OUT;
    return (
      <p class="act-say is-bad" role="alert">
        {soldOut ? soldOutWords(offer, deal) : refusal.text}
      </p>
    );
  }
  switch (offer.word) {
    case "held":
      return (
        <p class="act-say is-good" role="status">
          <Icon name="check" size={17} />
          <span>{t("say.held")}</span>
          {offer.hold.due_at_ms !== null && <Countdown toMs={offer.hold.due_at_ms} />}
        </p>
      );
    case "paying":
      return isDeclined(offer.hold) ? (
        <p class="act-say is-bad" role="alert">
          <Icon name="alert" size={17} />
          <span>{t("say.declined")}</span>
          {offer.hold.due_at_ms !== null && <Countdown toMs={offer.hold.due_at_ms} />}
        </p>
      ) : (
        <p class="act-say" role="status">
          <Icon name="lock" size={16} />
          <span>{offer.hold.due_at_ms === null ? t("say.paying") : t("say.safe_until", { time: at(offer.hold.due_at_ms) })}</span>
        </p>
      );
    case "offered":
      return (
        <p class="act-say is-good" role="alert">
          {offer.hold.due_at_ms !== null && (
            <CountdownRing toMs={offer.hold.due_at_ms} wholeMs={60_000} size={42} />
          )}
          <span>{t("say.offered")}</span>
        </p>
      );
    case "enter":
      return (
        <p class="act-say">
          <Icon name="clock" size={17} />
          <span>{t(deal?.draw?.again ? "say.enter_again" : "say.enter")}</span> <Countdown toMs={offer.drawsAtMs} />
        </p>
      );
    case "entered":
      return (
        <p class="act-say is-good" role="status">
          <Icon name="check" size={17} />
          <span>{t(deal?.draw?.again ? "say.entered_again" : "say.entered", { count: Math.max(1, offer.entrants) })}</span> <Countdown toMs={offer.drawsAtMs} />
        </p>
      );
    case "waiting":
      return (
        <p class="act-say" role="status">
          <Icon name="clock" size={17} />
          <span>{waitingWords(offer, deal)}</span>
        </p>
      );
    case "sold_out":
      return <p class="act-say">{soldOutWords(offer, deal)}</p>;
    case "limit":
    case "closed":
      return offer.confirmed > 0 ? (
        <p class="act-say is-good" role="status">
          <Icon name="check" size={17} />
          <span>{t("say.yours")}</span>
        </p>
      ) : offer.word === "closed" && offer.pulled ? (
        <p class="act-say is-bad">{t(offer.cancelled ? "say.pulled_yours" : "say.pulled")}</p>
      ) : null;
    default:
      return null;
  }
}

function isDeclined(hold: Hold): boolean {
  return Object.values(room.value.orders).some((order) => order.rid === hold.rid && order.status === "declined");
}

function soldOutWords(offer: Offer, deal: DealFacts | null): string {
  if (offer.word !== "sold_out") return t("stock.out");
  const shade = deal?.label ? t("say.sold_out_shade", { shade: deal.label }) : t("say.sold_out");
  if (offer.paying > 0) return `${shade} ${t("say.still_paying", { count: offer.paying })}`;
  if (offer.held > 0) return `${shade} ${t("say.still_held", { count: offer.held })}`;
  return shade;
}

function waitingWords(offer: Extract<Offer, { word: "waiting" }>, deal: DealFacts | null): string {
  const nth = t("say.nth", { nth: place(offer.hold.place ?? 1) });
  if (offer.paying === 0) return nth;
  const minutes = Math.max(1, Math.round((deal?.pay_seconds ?? 600) / 60));
  return `${nth} · ${t("stock.paying", { count: offer.paying })} · ${t("say.decided", { count: minutes })}`;
}

function Aside({ offer, card, deal }: { offer: Offer; card: CardFacts; deal: DealFacts | null }) {
  if (offer.word === "held" || offer.word === "offered") {
    return (
      <button type="button" class="text-button" onClick={() => giveBack(offer.hold.rid)}>
        {offer.word === "held" ? t("act.give_back") : t("act.no_thanks")}
      </button>
    );
  }
  if (offer.word === "entered") {
    return (
      <button type="button" class="text-button" onClick={() => giveBack(offer.hold.rid)}>
        {t("act.leave_draw")}
      </button>
    );
  }
  if (offer.word !== "sold_out" && offer.word !== "waiting") return null;
  const other = card.deals.find((one) => one !== deal && one.status === "open" && numbersOf(room.value, one).available > 0);
  // Where the same thing is offered above, saying it twice helps nobody.
  if (!other || card.kind === "bundle" || offers.value.now?.kind === "another_shade") return null;
  return (
    <button type="button" class="text-button" onClick={() => choose(card.card_id, other.deal_id)}>
      {t("act.other_shade", { shade: other.label })}
    </button>
  );
}
