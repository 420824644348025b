// Made by `python -m livecommerce.protocol.typescript` from livecommerce/protocol/. Do not edit.
// Money is in minor units of the shop's currency. Instants are UTC milliseconds of the server.

export const SUBPROTOCOL_MSGPACK = "livecommerce.v1.msgpack";
export const SUBPROTOCOL_JSON = "livecommerce.v1.json";

/** Numbers of the closed list of refusals. */
export * as REFUSAL from "./refusals";

/** Close codes: below 4500 come back, from 4500 on do not. */
export const CLOSE = {
  MOVING: 4000,
  SLOW: 4001,
  RESYNC: 4002,
  TOKEN_EXPIRED: 4003,
  IDLE: 4004,
  FULL: 4005,
  TOO_LATE: 4500,
  TOKEN_INVALID: 4501,
  FORBIDDEN: 4502,
  BANNED: 4503,
  NOT_FOUND: 4504,
  BROKE_RULES: 4505,
  ELSEWHERE: 4506,
  SHOW_OVER: 4507,
} as const;

/** First message. With `epoch` and `offset` the page asks to resume; `device` chooses the chat rate. `invitation` opens a show for invited guests. `heard` is the last line of talk she has: what was said since is sent again where the room still has it. */
export interface Hello {
  t: "hello";
  epoch?: string;
  offset?: number;
  device?: "desk" | "phone";
  token?: string;
  invitation?: string;
  heard?: string;
}

/** A renewed token for the same identity, before the old one runs out. */
export interface Token {
  t: "token";
  token: string;
}

/** Sign of life and clock question; `at` is echoed as it came. */
export interface Ping {
  t: "ping";
  at?: number;
}

/** A line of chat, a question for the queue, or a private question to the viewer's own advisor. */
export interface Say {
  t: "say";
  cid: string;
  text: string;
  kind?: "chat" | "private" | "question";
}

/** A vote for a question in the queue; a second vote changes nothing. */
export interface Vote {
  t: "vote";
  cid: string;
  question_id: string;
}

export interface React {
  t: "react";
  kind?: "clap" | "heart" | "wow";
}

/** Set units aside: every line or none. `wait` asks for a place in the line where a single deal is sold out. */
export interface Reserve {
  t: "reserve";
  rid: string;
  lines: WantLine[];
  wait?: boolean;
  offer_id?: string;
}

export interface WantLine {
  deal_id: string;
  qty?: number;
}

/** Give a hold, an offer or a place in the line back. */
export interface Release {
  t: "release";
  rid: string;
}

/** Take the unit that was offered from the wait-list: it becomes an ordinary hold. */
export interface Accept {
  t: "accept";
  rid: string;
}

/** The signed token of a hold, handed in while stock is counted again: proof of what was promised. No answer. */
export interface Proof {
  t: "proof";
  token: string;
}

/** What became of an offer on her page: it stood on the screen, she closed it, or she took note of a counter. */
export interface OfferSeen {
  t: "offer_seen";
  offer_id: string;
  did: "dismissed" | "noted" | "shown";
}

/** How far her picture is behind the server's clock, every 15 s or so while it plays. No answer. */
export interface Delay {
  t: "delay";
  ms: number;
}

export type FromViewer =
  | Hello
  | Token
  | Ping
  | Say
  | Vote
  | React
  | Reserve
  | Release
  | Accept
  | Proof
  | OfferSeen
  | Delay;

/** Answer to `hello`. `recovered` true: every missed event follows as `state`, in order. False: here is a snapshot. A resumed viewer gets her own holds and orders here too: they are never recovered by offset. With `counting` her holds are not known just now, and are not told: keep those you have, and send their tokens as `proof`. With `missed_talk` lines were said while she was away that are not sent again. */
export interface Welcome {
  t: "welcome";
  you: You;
  now_ms: number;
  epoch: string;
  offset: number;
  recovered: boolean;
  ping_seconds: number;
  holds: Hold[];
  orders: OrderFacts[];
  snapshot: Snapshot | null;
  counting: boolean;
  missed_talk: boolean;
}

export interface You {
  viewer_id: string;
  name: string;
  role: "admin" | "host" | "manager" | "moderator" | "viewer";
  advisor_name: string;
  shop_name: string;
  member: boolean;
}

/** A viewer's own reservation. `due_at_ms` is when held / offered / paying ends; `place` in the line is from 1. `entered` is a place in the draw of its deal; after the draw the hold is `held` or `waiting`, and its `ticket` is the one that was drawn. */
export interface Hold {
  rid: string;
  show_id: string;
  lines: HoldLine[];
  state: "cancelled" | "confirmed" | "entered" | "expired" | "held" | "lapsed" | "offered" | "paying" | "released" | "waiting";
  ticket: number;
  due_at_ms: number | null;
  place: number | null;
  token: string;
  order_id: string;
}

export interface HoldLine {
  deal_id: string;
  qty: number;
}

/** A viewer's own order in one line. It is told from several places at once, so one with a lower `version` than what is known of the order is older news: leave it. */
export interface OrderFacts {
  order_id: string;
  number: string;
  rid: string;
  status: "cancelled" | "confirmed" | "declined" | "expired" | "paying" | "refund_due" | "refunded";
  total_minor: number;
  currency: string;
  livemode: boolean;
  pickup_code: string;
  pay_url: string;
  pay_by_ms: number | null;
  retry_by_ms: number | null;
  lines: HoldLine[];
  version: number;
}

/** All of a show at (epoch, offset), the same for everybody. A viewer's own holds and orders stand in `welcome` itself; here they are empty. */
export interface Snapshot {
  show: ShowFacts;
  cards: CardFacts[];
  on_air: string;
  levels: Record<string, Level>;
  levels_version: number;
  talk: Line[];
  pinned: Line[];
  questions: Question[];
  promises: Record<string, string[]>;
  slow_seconds: number;
  viewers: number;
  holds: Hold[];
  orders: OrderFacts[];
  members_only: boolean;
}

/** A show as everyone may see it. */
export interface ShowFacts {
  show_id: string;
  title: string;
  corner: "cloud_class" | "family_day" | "flash_sale" | "members_evening" | "new_product_day" | "open_house";
  status: "cancelled" | "draft" | "ended" | "interrupted" | "live" | "scheduled";
  host_name: string;
  access: "invited" | "members" | "public";
  video: VideoFacts;
  scheduled_at_ms: number | null;
  launch_at_ms: number | null;
  started_at_ms: number | null;
  ended_at_ms: number | null;
  about: string;
  limit_per_person: number;
  claims: ClaimRules;
  interruption: Interruption | null;
}

/** Where the picture comes from: `own` is filmed by this server. A picture that is `own` or `signed` is found at `/api/shows/{show_id}/picture`. `loop` is a clip that starts over; `started_at_ms` is its programme's zero; one that starts `by_hand` waits for the host. `source`: whose picture it is ("": as `kind`). */
export interface VideoFacts {
  kind: "file" | "hls" | "none" | "own" | "youtube";
  url: string;
  alternates: string[];
  poster: string;
  loop: boolean;
  started_at_ms: number | null;
  source: string;
  clock: "fixed" | "latency" | "none" | "pdt";
  delay_ms: number;
  signed: boolean;
  by_hand: boolean;
}

/** Whether a line of chat may claim, and with which words it begins. `lines_shown` false keeps such lines out of the chat; their author is answered all the same. */
export interface ClaimRules {
  on: boolean;
  keywords: string[];
  lines_shown: boolean;
}

/** The newest interruption of a show, the first of which has number 1. `by` says who put the slate there: the host, or the machine, since the camera was lost. `waived`: she went on without a picture. `lengthened_ms`: by so much were holds lengthened for it; 0: they were not. */
export interface Interruption {
  number: number;
  by: "camera" | "host";
  began_at_ms: number;
  ended_at_ms: number | null;
  waived: boolean;
  lengthened_ms: number;
}

/** What the host puts on the picture: a product with deals, a product alone, or a bundle (all its deals or none). */
export interface CardFacts {
  card_id: string;
  kind: "bundle" | "deal" | "product";
  title: string;
  line: string;
  product_handle: string;
  image: string;
  deals: DealFacts[];
  bundle_minor: number | null;
  code: string;
}

/** One variant offered in a show. A card with shades has a deal for each shade. */
export interface DealFacts {
  deal_id: string;
  variant_id: string;
  label: string;
  swatch: string;
  image: string;
  price_minor: number;
  was_minor: number | null;
  quota: number;
  limit_per_viewer: number;
  hold_seconds: number;
  pay_seconds: number;
  status: "announced" | "closed" | "closing" | "draft" | "open";
  opens_at_ms: number | null;
  closes_at_ms: number | null;
  level: "fsync" | "ledger" | "soft";
  head_wants_more: "skip" | "wait";
  limit_by: "guest" | "member" | "verified";
  address_cap: number;
  hold_cap_seconds: number;
  pulled: "" | "cancel" | "honour";
  options: string[];
  draw: DrawFacts | null;
}

/** A deal that is drawn: taps within the window enter, then the order of service is drawn (docs/fairness.md). `commitment` stands from the announcement on: the SHA-256 of a seed that is told once the draw was made, with the root of all entrants; from the three anybody computes the order again. */
export interface DrawFacts {
  window_seconds: number;
  commitment: string;
  draws_at_ms: number | null;
  drawn_at_ms: number | null;
  entrants: number;
  seed: string;
  root: string;
  again: number;
}

/** The numbers of one deal: `available + held + paying + sold = quota`. `waiting` is the length of the line. */
export type Level = [available: number, held: number, paying: number, sold: number, waiting: number];

/** One line of talk. `simulated` marks the demo's players. */
export interface Line {
  line_id: string;
  at_ms: number;
  name: string;
  text: string;
  role: "admin" | "host" | "manager" | "moderator" | "viewer";
  kind: "answer" | "chat" | "notice" | "question";
  simulated: boolean;
}

/** A question in the queue of a Cloud Class. */
export interface Question {
  question_id: string;
  name: string;
  text: string;
  votes: number;
  status: "answered" | "answering" | "dropped" | "queued";
  answer: string;
}

/** Public events in offset order. A gap between frames means: close and come back with the last (epoch, offset). */
export interface State {
  t: "state";
  epoch: string;
  events: Stamped[];
}

/** An event with its place in the show: dense offsets from 1, within one epoch. */
export interface Stamped {
  offset: number;
  at_ms: number;
  event: ShowEvent;
}

/** Life cycle, title, video or programme of the show: the whole new facts. */
export interface ShowChanged {
  kind: "show_changed";
  show: ShowFacts;
  reason: string;
}

export interface CardShown {
  kind: "card_shown";
  card: CardFacts;
}

export interface CardHidden {
  kind: "card_hidden";
  card_id: string;
}

/** A card was added or changed (price, deals, words) without going on the picture. */
export interface CardListed {
  kind: "card_listed";
  card: CardFacts;
}

/** The countdown: the deal opens for everyone at `opens_at_ms` on the server's clock. */
export interface DealAnnounced {
  kind: "deal_announced";
  deal_id: string;
  opens_at_ms: number;
  draw: DrawFacts | null;
}

/** Until `draw.draws_at_ms`, where there is a draw, taps enter it. */
export interface DealOpened {
  kind: "deal_opened";
  deal_id: string;
  closes_at_ms: number | null;
  draw: DrawFacts | null;
}

/** The draw was made: who was drawn holds a unit, the others stand in the line in the order drawn. */
export interface DealDrawn {
  kind: "deal_drawn";
  deal_id: string;
  draw: DrawFacts;
}

/** Entries of a draw may be lost, and nobody had a place yet: its window opens anew, under a new commitment. Who is known to be in it stays in; everybody else may tap again. */
export interface DrawReopened {
  kind: "draw_reopened";
  deal_id: string;
  draw: DrawFacts;
}

export interface DealClosed {
  kind: "deal_closed";
  deal_id: string;
  reason: "host" | "pulled" | "show_over" | "time";
  pulled: "" | "cancel" | "honour";
}

export interface LinePinned {
  kind: "line_pinned";
  line: Line;
}

export interface LineUnpinned {
  kind: "line_unpinned";
  line_id: string;
}

/** Nobody sees it any more. `copies` are further lines that said the same. */
export interface LineHidden {
  kind: "line_hidden";
  line_id: string;
  copies: string[];
}

export interface QuestionChanged {
  kind: "question_changed";
  question: Question;
}

/** Slow mode in seconds (0 is off), members only. */
export interface RoomRules {
  kind: "room_rules";
  slow_seconds: number;
  members_only: boolean;
}

/** What the host promised on air; it stands on the card. */
export interface PromiseMade {
  kind: "promise_made";
  card_id: string;
  text: string;
}

/** A sentence from the show itself, as a slate shows it: "we are back in a moment". */
export interface Note {
  kind: "note";
  text: string;
}

/** A hidden line is shown again, where it stood. */
export interface LineRestored {
  kind: "line_restored";
  line: Line;
}

/** Somebody at the desk writes down what is said. Shown with its picture, and read until the next one. */
export interface CaptionSaid {
  kind: "caption_said";
  caption: Caption;
}

/** A line of what is being said, in writing. It belongs to the picture of `said_at_ms`. */
export interface Caption {
  caption_id: string;
  said_at_ms: number;
  text: string;
}

/** It was wrong: nobody sees it any more, here and in the replay. */
export interface CaptionHidden {
  kind: "caption_hidden";
  caption_id: string;
}

/** What was held or offered ends later, by the length of this interruption. Each holder is told her own new end. */
export interface HoldsLengthened {
  kind: "holds_lengthened";
  number: number;
  break_ms: number;
}

/** Numbers that changed since the last tick; a lower version than one seen is stale. */
export interface Levels {
  t: "levels";
  version: number;
  deals: Record<string, Level>;
  viewers: number | null;
  hearts: number | null;
}

/** Something of this viewer's changed: a hold, an order. */
export interface Own {
  t: "own";
  hold: Hold | null;
  order: OrderFacts | null;
  note: string;
  private: PrivateQuestion | null;
}

/** A question to one advisor, which the room never sees, and what she answered. */
export interface PrivateQuestion {
  question_id: string;
  show_id: string;
  at_ms: number;
  name: string;
  advisor_name: string;
  text: string;
  answer: string;
  answered_at_ms: number | null;
}

/** Lines since the last tick. `shed` lines per second were left out for everyone alike. */
export interface Talk {
  t: "talk";
  lines: Line[];
  shed: number;
}

/** Receipt for a `say` or `vote`: her own line, and whether the room sees it. */
export interface Said {
  t: "said";
  cid: string;
  shown: boolean;
  line: Line | null;
  again_ms: number | null;
}

/** Answer to `reserve`, `release` or `accept`: the hold as it stands now. */
export interface Answer {
  t: "answer";
  rid: string;
  hold: Hold;
}

/** No, with the number from the closed list. `re` is the rid or cid, or the type of the message refused. */
export interface RefusedMessage {
  t: "refused";
  re: string;
  number: number;
  word: string;
  text: string;
  again: boolean;
  after_ms: number | null;
  facts: Record<string, string | number | null>;
}

export interface Pong {
  t: "pong";
  at: number;
  now_ms: number;
}

/** The last message before a close: come back after `after_ms`, or, where that is null, do not. */
export interface Bye {
  t: "bye";
  code: number;
  text: string;
  after_ms: number | null;
}

/** Whether this room hears the other processes. While `up` is false, cards and stock wait; talk goes on here. */
export interface Relay {
  t: "relay";
  up: boolean;
}

/** Whether stock is being counted again after a loss. While it is, reservations are refused with 411, and whoever has hold tokens sends each as `proof`, once; when it is over, everybody is told whole what is hers. */
export interface Counting {
  t: "counting";
  on: boolean;
}

/** For hosts and moderators only: what the room does not see. */
export interface Desk {
  t: "desk";
  private: PrivateQuestion | null;
  to_account: string;
  acted: Acted | null;
  here: Presence[] | null;
  triage: TriageCount | null;
  delay: PictureDelay | null;
  viewer_id: string;
  order: OrderFacts | null;
  text: string;
  picture: PictureTold | null;
  lengthened: LengthenedTold | null;
  authors: Record<string, string>;
}

/** What one of the staff just did with the talk, so that the others see it. */
export interface Acted {
  account_id: string;
  name: string;
  do: string;
  about: string;
  reason: string;
  at_ms: number;
}

/** Somebody of the staff in the room. */
export interface Presence {
  account_id: string;
  name: string;
  role: "admin" | "host" | "manager" | "moderator" | "viewer";
}

/** Items of the triage: how many wait, how many somebody has in hand. */
export interface TriageCount {
  waiting: number;
  in_hand: number;
}

/** How late the viewers see the picture: the median of what their pages told lately, in `reports` messages; none told it: 0 of 0. */
export interface PictureDelay {
  median_ms: number;
  reports: number;
}

/** The picture was lost, or is back. `away` says why, "" where nobody knows; `said` are ffmpeg's last words. */
export interface PictureTold {
  word: "back" | "lost";
  at_ms: number;
  away: "" | "disk" | "ffmpeg" | "line" | "stopped";
  said: string;
}

/** What lengthening did: holds that end later, and holds that a cap on the time held kept from it. */
export interface LengthenedTold {
  number: number;
  break_ms: number;
  holds: number;
  capped: number;
}

/** What was understood of a line that claims, to its author alone. With `hold` the units of `lines` are set aside. Without it `number` and `word` are of the closed list and say why not: `choices` are the deals she may have meant, `codes` those that can be claimed now, `facts` as in `refused`. */
export interface Claimed {
  t: "claimed";
  cid: string;
  rid: string;
  text: string;
  code: string;
  lines: HoldLine[];
  hold: Hold | null;
  number: number;
  word: string;
  again: boolean;
  after_ms: number | null;
  choices: string[];
  codes: string[];
  facts: Record<string, string | number | null>;
}

/** Something offered to this viewer at its moment. She may take it with one `reserve`, or close it. */
export interface OfferMade {
  t: "offer";
  offer: OfferFacts;
}

/** One thing offered to one viewer at its moment. `deal_ids` are what a tap reserves, with `wait` for a place in the line; empty where `counter` is what is offered. `words` are the merchant's own, by language; the page has its own where they are empty. */
export interface OfferFacts {
  offer_id: string;
  moment: "closing_soon" | "paid" | "released" | "sold_out";
  kind: "another_shade" | "card" | "cheaper" | "counter" | "like_it" | "most_left" | "product" | "tag" | "variant" | "wait_list";
  about_deal_id: string;
  deal_ids: string[];
  wait: boolean;
  place: number | null;
  counter: CounterFacts | null;
  words: Record<string, string>;
  until_ms: number | null;
}

/** A counter that has the thing now: a pointer with a number of this moment, no hold. */
export interface CounterFacts {
  name: string;
  address: string;
  city: string;
  hours: string;
  units: number;
}

export type ToViewer =
  | Welcome
  | State
  | Levels
  | Own
  | Talk
  | Said
  | Answer
  | RefusedMessage
  | Pong
  | Bye
  | Relay
  | Counting
  | Desk
  | Claimed
  | OfferMade;

export type ShowEvent =
  | ShowChanged
  | CardShown
  | CardHidden
  | CardListed
  | DealAnnounced
  | DealOpened
  | DealDrawn
  | DrawReopened
  | DealClosed
  | LinePinned
  | LineUnpinned
  | LineHidden
  | QuestionChanged
  | RoomRules
  | PromiseMade
  | Note
  | LineRestored
  | CaptionSaid
  | CaptionHidden
  | HoldsLengthened;

/** draft, scheduled or interrupted → live. */
export interface GoLive {
  do: "go_live";
}

/** live → interrupted: a slate shows, deals go on. A slate that the machine put there becomes the host's. */
export interface Interrupt {
  do: "interrupt";
  text?: string;
}

/** Everything that is held or offered ends later by the length of this interruption, as long as it lasted until now, an hour at most. Once for each; who pays already keeps her deadline. */
export interface LengthenHolds {
  do: "lengthen_holds";
  number: number;
}

/** live or interrupted → ended: closes every deal. Only a host ends a show. */
export interface End {
  do: "end";
}

/** Put a card on the picture. Its deals that are still drafts open at once, or in `open_in_seconds`. */
export interface ShowCard {
  do: "show_card";
  card_id: string;
  open_in_seconds?: number | null;
}

/** Take the card off the picture; its deals go on. */
export interface HideCard {
  do: "hide_card";
  card_id: string;
}

export interface OpenDeal {
  do: "open_deal";
  deal_id: string;
  in_seconds?: number;
  for_seconds?: number | null;
}

/** No new holds, and who waits is told so. `pulled` says that the host withdraws it, `holds` what becomes of those who hold a unit: `honour`, they may still pay; `cancel`, what is not paid ends at once, with an apology. A deal that is closing can still be pulled, and one that was honoured can still be cancelled. */
export interface CloseDeal {
  do: "close_deal";
  deal_id: string;
  pulled?: boolean;
  holds?: "cancel" | "honour";
}

/** Nobody sees the line any more, here and in the replay. */
export interface HideLine {
  do: "hide_line";
  line_id: string;
  reason?: string;
}

/** Show a held line to the room after all. */
export interface LetThrough {
  do: "let_through";
  line_id: string;
  reason?: string;
}

export interface PinLine {
  do: "pin_line";
  line_id: string;
}

export interface UnpinLine {
  do: "unpin_line";
  line_id: string;
}

/** A line of talk as the host. */
export interface Announce {
  do: "announce";
  text: string;
}

/** A viewer, or whoever said the line, may not speak for `minutes`; 0 lifts it. */
export interface Mute {
  do: "mute";
  viewer_id?: string;
  minutes?: number;
  line_id?: string;
  reason?: string;
}

/** A viewer, or whoever said the line, leaves this show for good; `lift` lets her in again. */
export interface Ban {
  do: "ban";
  viewer_id?: string;
  lift?: boolean;
  line_id?: string;
  reason?: string;
}

export interface SlowMode {
  do: "slow_mode";
  seconds: number;
  reason?: string;
}

/** queued → answering: it stands on the picture. */
export interface TakeQuestion {
  do: "take_question";
  question_id: string;
}

/** → answered; with `text` the answer is written under it. `privately` sends it to the asker alone. */
export interface AnswerQuestion {
  do: "answer_question";
  question_id: string;
  text?: string;
  privately?: boolean;
}

export interface PromiseCommand {
  do: "promise";
  card_id: string;
  text: string;
}

/** Show a hidden line again, where it stood. */
export interface RestoreLine {
  do: "restore_line";
  line_id: string;
  reason?: string;
}

/** Only the merchant's own customers may write; everybody reads on. */
export interface MembersOnly {
  do: "members_only";
  on: boolean;
  reason?: string;
}

/** One decision for everything in an item of the triage: its line with all copies, or the questions about one product. `let_through` shows the line once; `hide` takes every copy away, the shown ones too, and may silence or ban all who wrote it; `answer` answers every question, each asker alone where it is `privately`. */
export interface Settle {
  do: "settle";
  item_id: string;
  act: "answer" | "hide" | "let_through";
  text?: string;
  privately?: boolean;
  mute_minutes?: number;
  ban?: boolean;
  reason?: string;
}

/** A line of captions. `said_at_ms`: when it was said, by the picture that the writer sees and hears; without it, now. Within the last minute: who writes it down is a little late, never early. */
export interface SayCaption {
  do: "caption";
  text: string;
  said_at_ms?: number | null;
}

/** It was wrong: nobody sees it any more, here and in the replay. */
export interface HideCaption {
  do: "hide_caption";
  caption_id: string;
  reason?: string;
}

export type HostCommand =
  | GoLive
  | Interrupt
  | LengthenHolds
  | End
  | ShowCard
  | HideCard
  | OpenDeal
  | CloseDeal
  | HideLine
  | LetThrough
  | PinLine
  | UnpinLine
  | Announce
  | Mute
  | Ban
  | SlowMode
  | TakeQuestion
  | AnswerQuestion
  | PromiseCommand
  | RestoreLine
  | MembersOnly
  | Settle
  | SayCaption
  | HideCaption;

/** The body: the console's own id for this command, and the command. */
export interface CommandEnvelope {
  command_id: string;
  command: HostCommand;
}
