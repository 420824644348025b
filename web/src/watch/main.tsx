/** The viewer page: finds the show, lets her in, and wires the room to the views. */
import "../shared/tokens.css";
import "../shared/base.css";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, type Refusal } from "../shared/api";
import { refusalText, startI18n, t } from "../shared/i18n";
import { CLOSE, REFUSAL, type CardFacts, type ShowFacts } from "../shared/protocol";
import { IconButton, Sheet, Toasts } from "../shared/ui";
import "./watch.css";
import { heard, spoken, startDigest } from "./announce";
import { LiveCard } from "./Card";
import { ChatPanel, ChatPeek, Composer, Pinned } from "./Chat";
import { Entry } from "./Entry";
import { Header, LineBanner } from "./Header";
import { HoldBar, urgentHolds } from "./HoldBar";
import { watchKeys } from "./keys";
import { Bag, Checkout, ClaimAnswers, Drawer, HeartButton, Hearts, Languages, OfferCard, Seeing, Verify, Viewing } from "./later";
import { enterRoom, line, onAirCard, onEveryMessage, room, turnedAway, watchTheDevice } from "./room";
import { known } from "./session";
import { ClosedDoor, OffAir, share, type DoorWord } from "./Slates";
import { Stage } from "./Stage";
import { shop } from "./words";

/** Cards are empty where the room's door will ask for an invitation first. */
interface ShowPage {
  show: ShowFacts;
  cards: CardFacts[];
}

type Door = { word: "looking" } | { word: "entry" } | { word: "in" } | { word: "closed"; why: DoorWord; text?: string };

const showId = decodeURIComponent(location.pathname.split("/").filter(Boolean)[1] ?? "");
const DESK = matchMedia("(min-width: 900px)");

function useDesk(): boolean {
  const [desk, setDesk] = useState(DESK.matches);
  useEffect(() => {
    const changed = (): void => setDesk(DESK.matches);
    DESK.addEventListener("change", changed);
    return () => DESK.removeEventListener("change", changed);
  }, []);
  return desk;
}

const DOORS: Record<number, DoorWord> = {
  0: "offline",
  [REFUSAL.NOT_FOUND]: "not_found",
  [REFUSAL.BANNED]: "banned",
  [REFUSAL.NOT_INVITED]: "not_invited",
  [REFUSAL.FORBIDDEN]: "members",
  [REFUSAL.PLACES_TAKEN]: "places_taken",
  [REFUSAL.SIGN_IN]: "code",
  [REFUSAL.TOKEN_INVALID]: "code",
};

const CLOSED_BY: Record<number, DoorWord> = {
  [CLOSE.BANNED]: "banned",
  [CLOSE.FORBIDDEN]: "not_invited",
  [CLOSE.NOT_FOUND]: "not_found",
  [CLOSE.ELSEWHERE]: "elsewhere",
};

function Page({ page }: { page: ShowPage | DoorWord }) {
  const [door, setDoor] = useState<Door>({ word: "looking" });
  useEffect(() => {
    if (typeof page === "string") {
      setDoor({ word: "closed", why: page });
      return;
    }
    const go = async (): Promise<void> => {
      if (await known()) setDoor({ word: "in" });
      else setDoor({ word: "entry" });
    };
    go().catch((refusal: Refusal) =>
      setDoor({ word: "closed", why: refusal.number === 0 ? "offline" : "code", text: refusalText(refusal) }),
    );
  }, []);
  if (door.word === "closed") return <ClosedDoor word={door.why} {...(door.text ? { text: door.text } : {})} />;
  if (typeof page === "string") return null;
  if (door.word === "in") return <Room page={page} />;
  return (
    <>
      <div class="watch is-at-the-door">
        <Stage show={page.show} />
      </div>
      {door.word === "entry" && <Entry show={page.show} onIn={() => setDoor({ word: "in" })} />}
    </>
  );
}

type Open = "" | "bag" | "drawer" | "chat" | "viewing" | "language";

function Room({ page }: { page: ShowPage }) {
  const [open, setOpen] = useState<Open>("");
  const desk = useDesk();
  useEffect(() => enterRoom(page.show, page.cards), []);
  useEffect(
    () =>
      watchKeys({
        bag: () => setOpen("bag"),
        chat: () => (desk ? document.querySelector<HTMLInputElement>(".composer-input")?.focus() : setOpen("chat")),
      }),
    [desk],
  );
  const status = line.value;
  if (status.word === "closed" && status.code !== 1000 && status.code !== CLOSE.SHOW_OVER) {
    const why = (turnedAway.value ? DOORS[turnedAway.value] : undefined) ?? CLOSED_BY[status.code];
    return <ClosedDoor word={why ?? "failed"} {...(why ? {} : { text: status.text })} />;
  }
  const show = room.value.show ?? page.show;
  const card = onAirCard.value;
  const shownDeals = card?.deals.map((deal) => deal.deal_id) ?? [];
  const onAir = show.status === "live" || show.status === "interrupted";
  const over = show.status === "ended" || show.status === "cancelled";
  const close = (): void => setOpen("");
  return (
    <div class={`watch is-${show.status} ${card ? "has-card" : ""}`}>
      <Stage show={show} />
      <Header show={show} onShare={() => void share(show)} onViewing={() => setOpen("viewing")} onLanguage={() => setOpen("language")} />
      <div class="watch-top">
        <LineBanner />
        {!desk && <Pinned />}
      </div>
      {!onAir && <OffAir show={show} onBag={() => setOpen("bag")} />}
      {onAir && <Seeing show={show} />}
      <Hearts />
      <div class="watch-deck">
        {!over && <OfferCard />}
        <HoldBar hiddenFor={card ? shownDeals : []} />
        <div class="card-slot">{card && !over && <LiveCard card={card} key={card.card_id} />}</div>
        {!desk && onAir && <ClaimAnswers latest />}
        {!desk && onAir && <ChatPeek onOpen={() => setOpen("chat")} />}
        <div class="watch-bar on-video">
          {!desk && !over && <Composer />}
          <IconButton icon="sparkle" label={t("drawer.title")} onClick={() => setOpen("drawer")} badge={room.value.cards.length} />
          <IconButton icon="bag" label={t("bag.title")} onClick={() => setOpen("bag")} badge={urgentHolds().length} class="bag-button" />
          {onAir && <HeartButton />}
        </div>
      </div>
      {desk && <ChatPanel />}
      {!desk && (
        <Sheet open={open === "chat"} title={t("chat.title")} onClose={close} class="chat-sheet">
          <ChatPanel />
        </Sheet>
      )}
      <Drawer open={open === "drawer"} onClose={close} />
      {open === "viewing" && <Viewing onClose={close} />}
      {open === "language" && <Languages onClose={close} />}
      <Verify />
      <Bag open={open === "bag"} onClose={close} />
      <Checkout />
      <Toasts />
      <div class="sr-only" role="log" aria-live="polite">
        {spoken.value}
      </div>
    </div>
  );
}

interface ShopAnswer {
  name: string;
  currency: string;
  locale: string;
}

async function start(): Promise<void> {
  const shopAnswer = api.get<ShopAnswer>("/api/shop").catch(() => null);
  const showPage = api
    .get<ShowPage>(`/api/shows/${encodeURIComponent(showId)}`)
    .catch((refusal: Refusal): DoorWord => DOORS[refusal.number] ?? "failed");
  await startI18n("watch", shopAnswer.then((facts) => facts?.locale ?? ""));
  const facts = await shopAnswer;
  if (facts) shop.value = { name: facts.name, currency: facts.currency };
  const page = await showPage;
  if (typeof page !== "string") document.title = [page.show.title, facts?.name].filter(Boolean).join(" · ");
  watchTheDevice();
  startDigest();
  onEveryMessage(heard);
  render(<Page page={page} />, document.getElementById("main") as HTMLElement);
}

void start();
