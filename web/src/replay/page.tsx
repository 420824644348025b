/**
 * A show to watch again: the picture, the card that was on it, what was said, chapters; and what each thing costs today.
 * Prices and stock of the evening are history; only today's can be bought.
 */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { api } from "../shared/api";
import { formatLocale, t } from "../shared/i18n";
import { money } from "../shared/money";
import type { RoomState } from "../shared/fold";
import type { CardFacts, Line, ShowFacts, Stamped } from "../shared/protocol";
import { dayAndTime, placeText } from "../shared/time";
import { Icon, Picture } from "../shared/ui";
import type { Product } from "../shop/server";
import { shop } from "../shop/server";
import { withoutPicture } from "../shared/viewing";
import { watchTheLine } from "../shared/wishes";
import type { ReplayPlayer } from "./player";
import { Story, Talk } from "./story";
import { Screen, type CaptionTrack } from "./screen";

export interface ReplayFacts {
  show: ShowFacts;
  events: Stamped[];
  /** Asks for the events behind these; 0: there are none. */
  next: number;
  chapters: { at_ms: number; card_id: string; title: string }[];
  picture: string;
  /** The same without the picture. */
  sound: string;
  captions: CaptionTrack[];
  begins_at_ms: number | null;
  length_ms: number;
  removed: boolean;
}

const LOOK_EVERY_MS = 250;
const AGAIN_MS = 3_000;

export function ReplayPage({ replay }: { replay: ReplayFacts }): JSX.Element {
  const { show } = replay;
  const begins = replay.begins_at_ms ?? show.started_at_ms ?? replay.events[0]?.at_ms ?? 0;
  const nowMs = useSignal(begins);
  const loaded = useSignal(0);
  const player = useRef<ReplayPlayer | null>(null);
  const wanted = useRef<number | null>(null); // a chapter that was tapped before the player was there
  const story = useMemo(() => new Story(replay.events), [replay]);
  const talk = useMemo(
    () => new Talk((from, to) => api.get(`/api/shows/${encodeURIComponent(show.show_id)}/replay/lines?from=${from}&to=${to}`), () => (loaded.value += 1)),
    [replay],
  );
  useEffect(() => {
    void everythingElse(show.show_id, replay.next, (events) => {
      story.add(events);
      loaded.value += 1;
    });
    return watchTheLine();
  }, [replay]);
  const go = (ms: number): void => {
    if (player.current) player.current.seekTo(ms);
    else wanted.current = ms;
    nowMs.value = ms;
  };
  const end = useMemo(() => story.end(), [story, loaded.value]);
  const state = story.at(nowMs.value);
  const card = state.cards.find((one) => one.card_id === state.onAir) ?? null;
  return (
    <div class="replay">
      <header class="replay-head">
        <a class="glass-pill" href="/shows">
          <Icon name="back" size={18} /> {t("replay.shows")}
        </a>
        <div>
          <h1 dir="auto">{show.title}</h1>
          <p class="muted">
            {t("replay.with", { host: show.host_name })}
            {show.started_at_ms !== null && ` · ${dayAndTime(show.started_at_ms, formatLocale())}`}
          </p>
        </div>
      </header>
      <section class="replay-picture" aria-label={t("replay.picture")}>
        {replay.picture ? (
          <Recording
            showId={show.show_id}
            url={withoutPicture.value ? replay.sound : replay.picture}
            poster={show.video.poster}
            captions={replay.captions}
            player={player}
            wanted={wanted}
            onTime={(ms) => (nowMs.value = ms)}
          />
        ) : (
          <p class="replay-none">{t(replay.removed ? "replay.removed" : "replay.not_filmed")}</p>
        )}
      </section>
      <Chapters replay={replay} begins={begins} nowMs={nowMs.value} onGo={go} />
      <section class="replay-card" aria-live="polite" aria-label={t("replay.on_picture")}>
        {card ? <Thing card={card} then /> : <p class="muted">{t("replay.no_card")}</p>}
        {state.pinned.map((line) => (
          <p key={line.line_id} class="replay-pinned" dir="auto">
            <Icon name="pin" size={16} /> {line.text}
          </p>
        ))}
      </section>
      <Said lines={talk.upTo(nowMs.value)} />
      <All replay={replay} end={end} />
    </div>
  );
}

/** The pages behind the first, one after the other: what they tell is needed only once the picture comes to it. */
async function everythingElse(showId: string, next: number, come: (events: Stamped[]) => void): Promise<void> {
  while (next) {
    try {
      const page = await api.get<{ events: Stamped[]; next: number }>(`/api/shows/${encodeURIComponent(showId)}/replay/events?after=${next}`);
      come(page.events);
      next = page.next;
    } catch {
      await new Promise((again) => setTimeout(again, AGAIN_MS));
    }
  }
}

interface RecordingProps {
  showId: string;
  captions: CaptionTrack[];
  url: string;
  poster: string;
  player: { current: ReplayPlayer | null };
  wanted: { current: number | null };
  onTime: (ms: number) => void;
}

function Recording({ showId, url, poster, captions, player, wanted, onTime }: RecordingProps): JSX.Element {
  const element = useRef<HTMLVideoElement>(null);
  const playsOn = useRef(false);
  useEffect(() => {
    let gone = false;
    void import("./player").then(({ playReplay }) => {
      if (gone || !element.current) return;
      player.current = playReplay(element.current, url);
      if (wanted.current !== null) player.current.seekTo(wanted.current);
      if (playsOn.current) void element.current.play().catch(() => undefined);
    });
    const look = (): void => {
      const ms = player.current?.programmeMs();
      if (ms != null) onTime(ms);
    };
    const timer = setInterval(look, LOOK_EVERY_MS);
    return () => {
      gone = true;
      clearInterval(timer);
      // The same moment goes on, with or without its picture.
      wanted.current = player.current?.programmeMs() ?? wanted.current;
      playsOn.current = element.current?.paused === false;
      player.current?.destroy();
      player.current = null;
    };
  }, [url]);
  return <Screen element={element} poster={poster} captions={captions} captionsAt={`/api/shows/${encodeURIComponent(showId)}/captions`} />;
}

function Chapters({ replay, begins, nowMs, onGo }: { replay: ReplayFacts; begins: number; nowMs: number; onGo: (ms: number) => void }): JSX.Element | null {
  if (!replay.chapters.length) return null;
  const current = replay.chapters.findLastIndex((chapter) => chapter.at_ms <= nowMs);
  return (
    <nav class="replay-chapters" aria-label={t("replay.chapters")}>
      <ol>
        {replay.chapters.map((chapter, place) => (
          <li key={chapter.at_ms}>
            <button
              type="button"
              class={`chip ${place === current ? "chosen" : ""}`}
              aria-current={place === current || undefined}
              onClick={() => onGo(chapter.at_ms)}
            >
              <span class="tabular">{placeText(chapter.at_ms - begins)}</span> {chapter.title}
            </button>
          </li>
        ))}
      </ol>
    </nav>
  );
}

/** A card with its price of the evening and today's, which alone can be bought. */
function Thing({ card, then }: { card: CardFacts; then?: boolean }): JSX.Element {
  const today = useToday(card.product_handle);
  const minor = card.bundle_minor ?? lowest(card.deals.map((deal) => deal.price_minor));
  const now = today ? lowest(today.variants.filter((one) => !one.retired).map((one) => one.price_minor)) : null;
  const sold = today !== null && today.variants.every((one) => one.retired || one.stock.availability === "sold_out");
  return (
    <article class="replay-thing">
      <Picture src={card.image} name={card.title} class="replay-thumb" />
      <div>
        <h3>{card.title}</h3>
        {then && card.line && <p class="muted">{card.line}</p>}
        <p class="tabular">
          {minor !== null && <span class="replay-then">{t("replay.then", { price: money(minor, shop.value.currency, formatLocale()) })}</span>}
          {now !== null && <strong>{t("replay.now", { price: money(now, shop.value.currency, formatLocale()) })}</strong>}
        </p>
        {card.deals.length > 0 && <p class="muted">{t("replay.deal_over")}</p>}
      </div>
      {today && (
        <a class={`button button-m ${sold ? "button-quiet" : "button-primary"}`} href={`/p/${encodeURIComponent(card.product_handle)}`}>
          {t(sold ? "replay.sold_out" : "replay.buy")}
        </a>
      )}
    </article>
  );
}

const products = new Map<string, Promise<Product | null>>();

function useToday(handle: string): Product | null {
  const found = useSignal<Product | null>(null);
  useEffect(() => {
    found.value = null;
    if (!handle) return;
    let asked = products.get(handle);
    if (!asked) {
      asked = api.get<Product>(`/api/products/${encodeURIComponent(handle)}`).catch(() => null);
      products.set(handle, asked);
    }
    void asked.then((product) => (found.value = product));
  }, [handle]);
  return found.value;
}

const lowest = (prices: readonly number[]): number | null => (prices.length ? Math.min(...prices) : null);

function Said({ lines }: { lines: readonly Line[] }): JSX.Element {
  const end = useRef<HTMLDivElement>(null);
  const newest = lines.at(-1)?.line_id;
  useEffect(() => {
    if (end.current) end.current.scrollTop = end.current.scrollHeight;
  }, [newest]);
  return (
    <section class="replay-said" aria-label={t("replay.said")}>
      <h2>{t("replay.said")}</h2>
      <div class="replay-lines" ref={end} tabIndex={0}>
        {lines.length === 0 && <p class="muted">{t("replay.quiet")}</p>}
        {lines.map((line) => (
          <p key={line.line_id} dir="auto" class={line.role === "viewer" ? "" : "of-host"}>
            <b>{line.name}</b> {line.text}
          </p>
        ))}
      </div>
    </section>
  );
}

/** Everything that was shown, as it stood at the end. */
function All({ replay, end }: { replay: ReplayFacts; end: RoomState }): JSX.Element | null {
  const shown = new Set(replay.chapters.map((chapter) => chapter.card_id));
  const cards = end.cards.filter((card) => shown.has(card.card_id));
  if (!cards.length) return null;
  return (
    <section class="replay-all">
      <h2>{t("replay.all")}</h2>
      {cards.map((card) => (
        <Thing key={card.card_id} card={card} />
      ))}
    </section>
  );
}
