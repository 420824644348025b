/**
 * A show to watch again: the picture, the card that was on it, what was said, chapters; and what each thing costs today.
 * Prices and stock of the evening are history; only today's can be bought.
 */
import { useSignal } from "@preact/signals";
import type { JSX, RefObject } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { api } from "../shared/api";
import { formatLocale, t } from "../shared/i18n";
import type { RoomState } from "../shared/fold";
import type { Line, ShowFacts, Stamped } from "../shared/protocol";
import { dayAndTime, placeText } from "../shared/time";
import { Icon } from "../shared/ui";
import { withoutPicture } from "../shared/viewing";
import { watchTheLine } from "../shared/wishes";
import type { ReplayPlayer } from "./player";
import { Questions } from "./questions";
import { Screen, type CaptionTrack } from "./screen";
import { Story, stretchAt, Talk, type Stretch } from "./story";
import { Thing } from "./thing";

/** `ends_at_ms` null: to the end. `clip`: where this stretch alone is played, "" where it was not filmed. */
interface Chapter {
  at_ms: number;
  ends_at_ms: number | null;
  card_id: string;
  title: string;
  clip: string;
}

export interface ReplayFacts {
  show: ShowFacts;
  events: Stamped[];
  /** Asks for the events behind these; 0: there are none. */
  next: number;
  chapters: Chapter[];
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
const calm = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

export function ReplayPage({ replay }: { replay: ReplayFacts }): JSX.Element {
  const { show } = replay;
  const begins = replay.begins_at_ms ?? show.started_at_ms ?? replay.events[0]?.at_ms ?? 0;
  const nowMs = useSignal(begins);
  const loaded = useSignal(0);
  const trouble = useSignal<"" | "away" | "removed">("");
  const player = useRef<ReplayPlayer | null>(null);
  const wanted = useRef<Wanted>({ ms: null, plays: false });
  const stretch = useRef<Stretch | null>(null);
  const picture = useRef<HTMLVideoElement>(null);
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
    stretch.current = null;
    if (player.current) player.current.seekTo(ms);
    else wanted.current.ms = ms;
    nowMs.value = ms;
  };
  const showStretch = ({ at_ms: fromMs, ends_at_ms }: Chapter): void => {
    go(fromMs);
    if (ends_at_ms !== null) stretch.current = { fromMs, toMs: ends_at_ms, begun: false };
    wanted.current.plays = true;
    void picture.current?.play().catch(() => undefined);
    picture.current?.scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
  };
  const watch = (ms: number): void => {
    nowMs.value = ms;
    if (!stretch.current) return;
    const is = stretchAt(stretch.current, ms);
    if (is === "on") stretch.current.begun = true;
    if (is === "over") picture.current?.pause();
    if (is === "over" || is === "left") stretch.current = null;
  };
  const stretchOf = (cardId: string): { place: number; show: () => void } | undefined => {
    const chapter = replay.chapters.find((one) => one.card_id === cardId && one.clip !== "");
    return chapter && { place: Math.max(0, chapter.at_ms - begins), show: () => showStretch(chapter) };
  };
  const end = useMemo(() => story.end(), [story, loaded.value]);
  const asked = useMemo(() => story.questions(), [story, loaded.value]);
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
            element={picture}
            trouble={trouble.value && t(`replay.picture_${trouble.value}`)}
            onTrouble={(is) => (trouble.value = is)}
            url={withoutPicture.value ? replay.sound : replay.picture}
            poster={show.video.poster}
            captions={replay.captions}
            player={player}
            wanted={wanted}
            onTime={watch}
          />
        ) : (
          <p class="replay-none">{t(replay.removed ? "replay.removed" : "replay.not_filmed")}</p>
        )}
      </section>
      <Chapters replay={replay} begins={begins} nowMs={nowMs.value} onGo={go} />
      <section class="replay-card" aria-live="polite" aria-label={t("replay.on_picture")}>
        {card ? <Thing card={card} then /> : <p class="muted">{t("replay.no_card")}</p>}
        {state.questions.filter((one) => one.status === "answering").map((one) => (
          <p key={one.question_id} class="replay-pinned" dir="auto">
            <Icon name="question" size={16} /> {one.text}
          </p>
        ))}
        {state.pinned.map((line) => (
          <p key={line.line_id} class="replay-pinned" dir="auto">
            <Icon name="pin" size={16} /> {line.text}
          </p>
        ))}
      </section>
      <Said lines={talk.upTo(nowMs.value)} />
      <Questions asked={asked} now={state.questions} begins={begins} onGo={go} />
      <All replay={replay} end={end} stretchOf={stretchOf} />
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

/** What was tapped before the player was there: a moment, and whether it shall play. */
interface Wanted {
  ms: number | null;
  plays: boolean;
}

interface RecordingProps {
  showId: string;
  element: RefObject<HTMLVideoElement | null>;
  trouble: string;
  onTrouble: (is: "" | "away" | "removed") => void;
  captions: CaptionTrack[];
  url: string;
  poster: string;
  player: { current: ReplayPlayer | null };
  wanted: { current: Wanted };
  onTime: (ms: number) => void;
}

function Recording({ showId, element, url, poster, captions, player, wanted, trouble, onTrouble, onTime }: RecordingProps): JSX.Element {
  useEffect(() => {
    let gone = false;
    const askAgain = async (): Promise<string> => {
      const now = await api.get<ReplayFacts>(`/api/shows/${encodeURIComponent(showId)}/replay`);
      if (!now.picture && !gone) onTrouble("removed");
      return withoutPicture.value ? now.sound : now.picture;
    };
    void import("./player").then(({ playReplay }) => {
      if (gone || !element.current) return;
      player.current = playReplay(element.current, { url, askAgain, onTrouble: (is) => onTrouble(is ? "away" : "") });
      if (wanted.current.ms !== null) player.current.seekTo(wanted.current.ms);
      if (wanted.current.plays) void element.current.play().catch(() => undefined);
    });
    // For whoever measures what the picture shows.
    Object.assign(element.current!, { programmeMs: () => player.current?.programmeMs() ?? null });
    const look = (): void => {
      const ms = player.current?.programmeMs();
      if (ms != null) onTime(ms);
    };
    const timer = setInterval(look, LOOK_EVERY_MS);
    return () => {
      gone = true;
      clearInterval(timer);
      // The same moment goes on, with or without its picture.
      wanted.current = { ms: player.current?.programmeMs() ?? wanted.current.ms, plays: element.current?.paused === false };
      onTrouble("");
      player.current?.destroy();
      player.current = null;
    };
  }, [url]);
  return <Screen element={element} trouble={trouble} poster={poster} captions={captions} captionsAt={`/api/shows/${encodeURIComponent(showId)}/captions`} />;
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

interface AllProps {
  replay: ReplayFacts;
  end: RoomState;
  stretchOf: (cardId: string) => { place: number; show: () => void } | undefined;
}

/** Everything that was shown, as it stood at the end. */
function All({ replay, end, stretchOf }: AllProps): JSX.Element | null {
  const shown = new Set(replay.chapters.map((chapter) => chapter.card_id));
  const cards = end.cards.filter((card) => shown.has(card.card_id));
  if (!cards.length) return null;
  return (
    <section class="replay-all">
      <h2>{t("replay.all")}</h2>
      {cards.map((card) => (
        <Thing key={card.card_id} card={card} stretch={stretchOf(card.card_id)} />
      ))}
    </section>
  );
}
