/**
 * What a page knows of a show, and the one pure way it changes: `fold(state, message)`.
 * Used by the live pages, the console, the replay and the tests. It does not know sockets, clocks or the screen.
 *
 * With a picture that lags, what belongs to the picture (which card stands on it, pins, promises, captions) waits in
 * `later` until `release`; stock, prices, openings and closings never wait, nor does a card longer than its countdown.
 */
import type {
  Caption,
  CardFacts,
  DealFacts,
  Hold,
  Level,
  Line,
  OrderFacts,
  PrivateQuestion,
  Question,
  ShowFacts,
  Snapshot,
  Stamped,
  ToViewer,
  You,
} from "./protocol";

export const LINES_KEPT_MAX = 200;
export const CAPTIONS_KEPT_MAX = 30;

export interface RoomState {
  /** Where we are in the show's news; both empty before the first welcome. */
  readonly epoch: string;
  readonly offset: number;
  readonly you: You | null;
  readonly show: ShowFacts | null;
  /** All listed cards, the newest change last; a deal is found through `dealOf`. */
  readonly cards: readonly CardFacts[];
  /** The card on the picture, or "". */
  readonly onAir: string;
  readonly levels: Readonly<Record<string, Level>>;
  readonly levelsVersion: number;
  readonly talk: readonly Line[];
  /** The line behind which some are missing, "" where they are missing in front of all; null: none that we know of. */
  readonly talkGap: string | null;
  readonly pinned: readonly Line[];
  /** What was said, in writing, as far as the picture has come; the newest last. */
  readonly captions: readonly Caption[];
  readonly questions: readonly Question[];
  readonly promises: Readonly<Record<string, readonly string[]>>;
  readonly slowSeconds: number;
  readonly membersOnly: boolean;
  readonly viewers: number;
  readonly hearts: number;
  /** Lines per second left out for everyone alike. */
  readonly shed: number;
  /** A sentence of the show itself, as the slate shows it. */
  readonly note: string;
  /** This viewer's own, by rid and by order id. */
  readonly holds: Readonly<Record<string, Hold>>;
  readonly orders: Readonly<Record<string, OrderFacts>>;
  /** What she asked an advisor in private, with the answers. */
  readonly privates: readonly PrivateQuestion[];
  /** The last sentence told to her alone. */
  readonly ownNote: string;
  /** False while this room does not hear the other processes. */
  readonly relayUp: boolean;
  /** True while the server counts stock again after a loss: what is hers is being looked up. */
  readonly counting: boolean;
  /** Events of the picture that came before their picture. */
  readonly later: readonly Stamped[];
}

export const EMPTY: RoomState = {
  epoch: "",
  offset: 0,
  you: null,
  show: null,
  cards: [],
  onAir: "",
  levels: {},
  levelsVersion: 0,
  talk: [],
  talkGap: null,
  pinned: [],
  captions: [],
  questions: [],
  promises: {},
  slowSeconds: 0,
  membersOnly: false,
  viewers: 0,
  hearts: 0,
  shed: 0,
  note: "",
  holds: {},
  orders: {},
  privates: [],
  ownNote: "",
  relayUp: true,
  counting: false,
  later: [],
};

/** One message of the server. `pictureLags` keeps what belongs to the picture for `release`. */
export function fold(state: RoomState, message: ToViewer, pictureLags = false): RoomState {
  switch (message.t) {
    case "welcome": {
      const base = message.snapshot ? fromSnapshot(state, message.snapshot) : state;
      return {
        ...base,
        you: message.you,
        talkGap: message.missed_talk ? (message.snapshot ? "" : (state.talk.at(-1)?.line_id ?? "")) : base.talkGap,
        epoch: message.epoch,
        offset: message.recovered ? state.offset : message.offset,
        // Her own stand in the welcome itself: the snapshot is the same bytes for everybody.
        // While they are counted again they are not known, which does not mean that there are none.
        holds: message.counting ? state.holds : byKey(message.holds, "rid"),
        counting: message.counting,
        orders: byKey(message.orders.map((order) => newer(state.orders[order.order_id], order)), "order_id"),
        relayUp: true,
      };
    }
    case "state":
      return message.events.reduce<RoomState>((now, stamped) => foldStamped(now, stamped, pictureLags), {
        ...state,
        epoch: message.epoch,
      });
    case "levels":
      if (message.version < state.levelsVersion) return state;
      return {
        ...state,
        levelsVersion: message.version,
        levels: { ...state.levels, ...message.deals },
        viewers: message.viewers ?? state.viewers,
        hearts: message.hearts ?? state.hearts,
      };
    case "own":
      return {
        ...state,
        holds: message.hold ? withHold(state.holds, message.hold) : state.holds,
        orders: message.order ? withOrder(state.orders, message.order) : state.orders,
        privates: message.private ? withPrivate(state.privates, message.private) : state.privates,
        ownNote: message.note || state.ownNote,
      };
    case "answer":
      return { ...state, holds: withHold(state.holds, message.hold) };
    case "talk":
      return { ...state, talk: withLines(state.talk, message.lines), shed: message.shed };
    case "said":
      return message.line && message.shown ? { ...state, talk: withLines(state.talk, [message.line]) } : state;
    case "relay":
      return { ...state, relayUp: message.up };
    case "counting":
      return { ...state, counting: message.on };
    case "desk":
    case "refused":
    case "pong":
    case "bye":
    case "offer":
      return state;
    case "claimed":
      return message.hold ? { ...state, holds: withHold(state.holds, message.hold) } : state;
  }
}

function fromSnapshot(state: RoomState, snapshot: Snapshot): RoomState {
  return {
    ...EMPTY,
    you: state.you,
    show: snapshot.show,
    cards: snapshot.cards,
    onAir: snapshot.on_air,
    levels: snapshot.levels,
    levelsVersion: snapshot.levels_version,
    talk: withLines([], snapshot.talk),
    pinned: snapshot.pinned,
    questions: snapshot.questions,
    privates: state.privates,
    promises: snapshot.promises,
    slowSeconds: snapshot.slow_seconds,
    membersOnly: snapshot.members_only,
    viewers: snapshot.viewers,
    hearts: state.hearts,
  };
}

/** One public event in its place. An offset seen before changes nothing. */
export function foldStamped(state: RoomState, stamped: Stamped, pictureLags = false): RoomState {
  if (stamped.offset <= state.offset) return state;
  const moved = { ...state, offset: stamped.offset };
  const ofPicture = OF_PICTURE.has(stamped.event.kind);
  if (!pictureLags || !ofPicture) return applyEvent(moved, stamped);
  const known = stamped.event.kind === "card_shown" ? withCard(moved, stamped.event.card) : moved;
  return { ...known, later: [...known.later, stamped] };
}

/** A card that counts down to an opening waits no longer than this before it, however late her picture is. */
export const COUNTDOWN_SEEN_MS = 5_000;
const SLACK_MS = 100;

/** Let happen what the picture has reached by now; and what must not wait for it (`nowMs`: the server's clock). */
export function release(state: RoomState, programmeMs: number, nowMs: number): RoomState {
  if (state.later.length === 0) return state;
  // What stood on the picture before a card that comes early must not take its place afterwards.
  const early = state.later.findLastIndex(({ event, at_ms }) => event.kind === "card_shown" && countsDown(state, event.card.card_id, at_ms, nowMs));
  const isDue = (stamped: Stamped, place: number): boolean =>
    momentOf(stamped) <= programmeMs + SLACK_MS || (place <= early && (stamped.event.kind === "card_shown" || stamped.event.kind === "card_hidden"));
  const due = state.later.filter(isDue);
  if (due.length === 0) return state;
  const rest = state.later.filter((stamped, place) => !isDue(stamped, place));
  // A card may have changed its price while its picture was on the way: what is known now stays.
  return due.reduce<RoomState>((now, stamped) => applyLate(now, stamped), { ...state, later: rest });
}

/**
 * Whether a deal of the card, put there at `shownMs`, was announced and opens in a moment, or has opened by its countdown
 * since. One that was open before comes with its picture like any other.
 */
function countsDown(state: RoomState, cardId: string, shownMs: number, nowMs: number): boolean {
  const deals = cardById(state, cardId)?.deals ?? [];
  const counts = (opensMs: number): boolean => opensMs >= shownMs && opensMs - COUNTDOWN_SEEN_MS <= nowMs;
  return deals.some(({ status, opens_at_ms }) => (status === "announced" || status === "open") && opens_at_ms !== null && counts(opens_at_ms));
}

const OF_PICTURE = new Set(["card_shown", "card_hidden", "line_pinned", "line_unpinned", "promise_made", "note", "caption_said"]);

/** The moment of the programme that an event belongs to: a caption is written down a little after it was said. */
const momentOf = ({ at_ms, event }: Stamped): number => (event.kind === "caption_said" ? event.caption.said_at_ms : at_ms);

function applyLate(state: RoomState, stamped: Stamped): RoomState {
  if (stamped.event.kind === "card_shown") return { ...state, onAir: stamped.event.card.card_id };
  return applyEvent(state, stamped);
}

function applyEvent(state: RoomState, stamped: Stamped): RoomState {
  const event = stamped.event;
  switch (event.kind) {
    case "show_changed":
      // The words of a slate go with it: another one, or another's, begins without.
      return { ...state, show: event.show, note: sameSlate(state.show, event.show) ? state.note : "" };
    case "card_shown":
      return { ...withCard(state, event.card), onAir: event.card.card_id };
    case "card_hidden":
      return { ...state, onAir: state.onAir === event.card_id ? "" : state.onAir };
    case "card_listed":
      return withCard(state, event.card);
    case "deal_announced":
      return withDeal(state, event.deal_id, { status: "announced", opens_at_ms: event.opens_at_ms, draw: event.draw });
    case "deal_opened":
      return withDeal(state, event.deal_id, { status: "open", closes_at_ms: event.closes_at_ms, draw: event.draw });
    case "deal_drawn":
    case "draw_reopened":
      return withDeal(state, event.deal_id, { draw: event.draw });
    case "deal_closed":
      return withDeal(state, event.deal_id, { status: "closed", pulled: event.pulled });
    case "line_pinned":
      return {
        ...state,
        pinned: [...state.pinned.filter((line) => line.line_id !== event.line.line_id), event.line],
      };
    case "line_unpinned":
      return { ...state, pinned: state.pinned.filter((line) => line.line_id !== event.line_id) };
    case "line_hidden": {
      const stays = (line: Line): boolean => line.line_id !== event.line_id && !event.copies.includes(line.line_id);
      return { ...state, talk: state.talk.filter(stays), pinned: state.pinned.filter(stays) };
    }
    case "line_restored": {
      const others = state.talk.filter((line) => line.line_id !== event.line.line_id);
      return { ...state, talk: [...others, event.line].sort((a, b) => a.at_ms - b.at_ms) };
    }
    case "question_changed":
      return { ...state, questions: withQuestion(state.questions, event.question) };
    case "room_rules":
      return { ...state, slowSeconds: event.slow_seconds, membersOnly: event.members_only };
    case "promise_made":
      return {
        ...state,
        promises: { ...state.promises, [event.card_id]: [...(state.promises[event.card_id] ?? []), event.text] },
      };
    case "note":
      return { ...state, note: event.text };
    case "caption_said":
      return { ...state, captions: withCaption(state.captions, event.caption) };
    case "caption_hidden": {
      // Also one whose picture has not come yet.
      const stays = (caption: Caption): boolean => caption.caption_id !== event.caption_id;
      const later = state.later.filter(({ event: one }) => one.kind !== "caption_said" || stays(one.caption));
      return { ...state, captions: state.captions.filter(stays), later };
    }
    case "holds_lengthened":
      return state; // each holder hears her own new end
  }
}

function sameSlate(before: ShowFacts | null, now: ShowFacts): boolean {
  const was = before?.interruption ?? null;
  const is = now.interruption;
  return now.status === "interrupted" && before?.status === "interrupted" && was?.number === is?.number && was?.by === is?.by;
}

function withCard(state: RoomState, card: CardFacts): RoomState {
  const known = state.cards.some((one) => one.card_id === card.card_id);
  const cards = known ? state.cards.map((one) => (one.card_id === card.card_id ? card : one)) : [...state.cards, card];
  return { ...state, cards };
}

function withDeal(state: RoomState, dealId: string, change: Partial<DealFacts>): RoomState {
  const cards = state.cards.map((card) =>
    card.deals.some((deal) => deal.deal_id === dealId)
      ? { ...card, deals: card.deals.map((deal) => (deal.deal_id === dealId ? { ...deal, ...change } : deal)) }
      : card,
  );
  return { ...state, cards };
}

function withLines(talk: readonly Line[], lines: readonly Line[]): readonly Line[] {
  const seen = new Set(talk.map((line) => line.line_id));
  const fresh = lines.filter((line) => !seen.has(line.line_id));
  return fresh.length === 0 ? talk : [...talk, ...fresh].slice(-LINES_KEPT_MAX);
}

function withCaption(captions: readonly Caption[], caption: Caption): readonly Caption[] {
  return [...captions, caption].sort((a, b) => a.said_at_ms - b.said_at_ms).slice(-CAPTIONS_KEPT_MAX);
}

function withQuestion(questions: readonly Question[], question: Question): readonly Question[] {
  if (question.status === "dropped") return questions.filter((one) => one.question_id !== question.question_id);
  const known = questions.some((one) => one.question_id === question.question_id);
  return known
    ? questions.map((one) => (one.question_id === question.question_id ? question : one))
    : [...questions, question];
}

/** Her private questions with this one as it stands now. */
export function withPrivate(all: readonly PrivateQuestion[], one: PrivateQuestion): readonly PrivateQuestion[] {
  const known = all.some((other) => other.question_id === one.question_id);
  return known ? all.map((other) => (other.question_id === one.question_id ? one : other)) : [...all, one];
}

function byKey<K extends string, T extends Record<K, string>>(items: readonly T[], key: K): Record<string, T> {
  return Object.fromEntries(items.map((item) => [item[key], item]));
}

// --- questions a page asks of the state ---------------------------------------------------------------------------

export function cardById(state: RoomState, cardId: string): CardFacts | null {
  return state.cards.find((card) => card.card_id === cardId) ?? null;
}

export function dealOf(state: RoomState, dealId: string): { card: CardFacts; deal: DealFacts } | null {
  for (const card of state.cards) {
    const deal = card.deals.find((one) => one.deal_id === dealId);
    if (deal) return { card, deal };
  }
  return null;
}

export interface Numbers {
  available: number;
  held: number;
  paying: number;
  sold: number;
  waiting: number;
}

/** A deal's numbers with their names; before the first level all of the quota counts as available. */
export function numbersOf(state: RoomState, deal: DealFacts): Numbers {
  const [available, held, paying, sold, waiting] = state.levels[deal.deal_id] ?? [deal.quota, 0, 0, 0, 0];
  return { available, held, paying, sold, waiting };
}

const LIVE_HOLDS: ReadonlySet<Hold["state"]> = new Set(["entered", "waiting", "offered", "held", "paying"]);

/** Orders are told by the socket, by answers and by looks at the ledger, which may pass each other on the way. */
function newer(known: OrderFacts | undefined, told: OrderFacts): OrderFacts {
  return known && known.version > told.version ? known : told;
}

function withOrder(orders: RoomState["orders"], order: OrderFacts): RoomState["orders"] {
  const kept = newer(orders[order.order_id], order);
  return kept === orders[order.order_id] ? orders : { ...orders, [kept.order_id]: kept };
}

/** The hold as it stands now. Its signed token comes once, in the answer that made it; later news do not repeat it. */
function withHold(holds: RoomState["holds"], hold: Hold): RoomState["holds"] {
  return { ...holds, [hold.rid]: { ...hold, token: hold.token || holds[hold.rid]?.token || "" } };
}

/** Her holds, offers, waits and payments that are not over, in the order of their tickets. */
export function liveHolds(state: RoomState): Hold[] {
  return Object.values(state.holds)
    .filter((hold) => LIVE_HOLDS.has(hold.state))
    .sort((a, b) => a.ticket - b.ticket);
}
