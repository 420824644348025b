/**
 * The console's calls to the server, each typed, none decided here. What arrives: what a page wants to know or change.
 * What leaves: answers as the API gives them, or `Refusal`. The shop's currency is asked once.
 */
import { signal } from "@preact/signals";
import { api } from "../shared/api";
import type { CardFacts, ClaimRules, DealFacts, HostCommand, OfferFacts, OrderFacts, PrivateQuestion, ShowFacts } from "../shared/protocol";
import type { PictureFacts } from "./interruption";
import { staffRequest } from "./session";
import { upload, type Upload } from "./upload";

const at = (showId: string, rest = ""): string => `/api/staff/shows/${encodeURIComponent(showId)}${rest}`;

// --- the shop and who is here ---------------------------------------------------------------------------------------

export interface ShopFacts {
  name: string;
  currency: string;
  time_zone: string;
  mode: string;
  demo: boolean;
}

export interface Staff {
  account_id: string;
  name: string;
  email: string;
  role: "admin" | "manager" | "advisor" | "moderator";
}

export const shop = signal<ShopFacts | null>(null);
export const currency = signal("EUR");

export async function loadShop(): Promise<void> {
  const facts = await api.get<ShopFacts>("/api/shop");
  shop.value = facts;
  currency.value = facts.currency;
}

export const me = (): Promise<{ staff: Staff | null }> => staffRequest("GET", "/api/me");
export const logout = (): Promise<unknown> => staffRequest("POST", "/api/logout", {});

// --- shows ----------------------------------------------------------------------------------------------------------

/** A card as staff see it: with the host's own note and where it stands in the show. */
export interface StaffCard extends CardFacts {
  notes: string;
  state: "planned" | "on_air" | "done";
  hidden_until_launch: boolean;
}

export interface StaffShow {
  show: ShowFacts;
  cards: StaffCard[];
  picture: PictureFacts | null;
}

export interface ShowDraft {
  title: string;
  about: string;
  corner: ShowFacts["corner"];
  access: ShowFacts["access"];
  scheduled_at_ms: number | null;
  launch_at_ms: number | null;
  limit_per_person: number;
  video: Pick<ShowFacts["video"], "kind" | "url" | "alternates" | "poster" | "loop"> &
    Partial<Pick<ShowFacts["video"], "source" | "clock" | "delay_ms" | "by_hand">> & { restart?: boolean };
}

export interface DealDraft {
  variant_id: string;
  location_id: string;
  price_minor: number;
  was_minor: number | null;
  quota: number;
  limit_per_viewer: number;
  hold_seconds: number;
  pay_seconds: number;
  level: DealFacts["level"];
  head_wants_more: DealFacts["head_wants_more"];
  limit_by: DealFacts["limit_by"];
  address_cap: number;
  hold_cap_seconds: number;
  fairness?: "first_come" | "draw";
  draw_seconds?: number;
}

export interface CardDraft {
  kind: CardFacts["kind"];
  title: string;
  line: string;
  notes: string;
  product_handle: string;
  hidden_until_launch: boolean;
  deals: DealDraft[];
}

interface ShowList {
  live: ShowFacts[];
  upcoming: ShowFacts[];
  past: ShowFacts[];
}

export async function showsOfStaff(): Promise<ShowFacts[]> {
  const { live, upcoming, past } = await staffRequest<ShowList>("GET", "/api/staff/shows");
  return [...live, ...upcoming, ...past];
}

export const showOf = (showId: string): Promise<StaffShow> => staffRequest("GET", at(showId));
export const createShow = (draft: ShowDraft): Promise<ShowFacts> => staffRequest("POST", "/api/staff/shows", draft);
export const changeShow = (showId: string, draft: Partial<ShowDraft>): Promise<unknown> =>
  staffRequest("PATCH", at(showId), draft);
export const addCard = (showId: string, card: CardDraft): Promise<unknown> =>
  staffRequest("POST", at(showId, "/cards"), card);
export const removeCard = (showId: string, cardId: string): Promise<unknown> =>
  staffRequest("DELETE", at(showId, `/cards/${encodeURIComponent(cardId)}`));
export const orderCards = (showId: string, cardIds: string[]): Promise<unknown> =>
  staffRequest("POST", at(showId, "/cards/order"), { card_ids: cardIds });

/** One command, under an id of our own: sent twice it has one effect. */
export const sendCommand = (showId: string, commandId: string, command: HostCommand): Promise<unknown> =>
  staffRequest("POST", at(showId, "/commands"), { command_id: commandId, command });

// --- orders ---------------------------------------------------------------------------------------------------------

/** An order as the desk sees it. */
export interface OrderRow {
  order: OrderFacts;
  contact_name: string;
  delivery: "ship" | "pickup";
  units: number;
  lines: { title: string; label: string; qty: number }[];
  test: boolean;
  created_at_ms: number;
  paid_at_ms: number | null;
  /** The counter where it is collected; empty where it is sent. */
  counter_name: string;
}

/** Units and money of a show; test orders stand beside the revenue, never in it. */
export interface Totals {
  units_sold: number;
  orders_confirmed: number;
  revenue_minor: number;
  test_orders: number;
  test_minor: number;
}

export interface ShowOrders {
  totals: Totals;
  orders: OrderRow[];
}

export const ordersOf = (showId: string): Promise<ShowOrders> => staffRequest("GET", at(showId, "/orders"));

// --- captions of a recording ------------------------------------------------------------------------------------------

/** `language` is "live" for what was typed during the show. */
export interface CaptionTrack {
  language: string;
  lines: number;
}

export const captionsOf = (showId: string): Promise<{ tracks: CaptionTrack[]; recorded: boolean }> => staffRequest("GET", at(showId, "/captions"));
export const putCaptions = (showId: string, language: string, file: Blob): Promise<CaptionTrack> =>
  staffRequest("PUT", at(showId, `/captions/${encodeURIComponent(language)}`), file);
export const dropCaptions = (showId: string, language: string): Promise<unknown> =>
  staffRequest("DELETE", at(showId, `/captions/${encodeURIComponent(language)}`));
export const captionsAt = (showId: string, language: string): string =>
  `/api/shows/${encodeURIComponent(showId)}/captions/${encodeURIComponent(language)}.vtt`;

// --- signed lists of tickets ------------------------------------------------------------------------------------------

export interface TicketListed {
  deal_id: string;
}

export const ticketListAt = (showId: string, dealId: string): string =>
  `/api/shows/${encodeURIComponent(showId)}/tickets/${encodeURIComponent(dealId)}`;
export const ticketListsOf = (showId: string): Promise<{ lists: TicketListed[] }> =>
  staffRequest("GET", `/api/shows/${encodeURIComponent(showId)}/tickets`);

// --- links and invitations ------------------------------------------------------------------------------------------

export interface ShareLink {
  link_id: string;
  url: string;
  qr_svg: string;
}

export const shareLink = (showId: string, label = ""): Promise<ShareLink> =>
  staffRequest("POST", "/api/staff/links", { show_id: showId, label });

export interface CameraLink {
  url: string;
  qr_svg: string;
}

/** An encoder's line over SRT; `server` is empty until a port was opened for the show. */
export interface SrtFacts {
  server: string;
  passphrase: string;
  said: string;
}

/** One way to send to another server. */
export interface Ingest {
  protocol: "page" | "rtmp" | "srt" | "whip";
  server: string;
  key: string;
}

export interface EncoderFacts {
  server: string;
  key: string;
  films: boolean;
  srt: SrtFacts | null;
  ways: Ingest[];
}

export interface Sources {
  sources: { name: string; asks: "nothing" | "address" | "film" }[];
  films: boolean;
  film_mb_max: number;
}

export interface FilmFacts {
  film_id: string;
  name: string;
  bytes: number;
  duration_ms: number;
  width: number;
  height: number;
  made_anew: boolean;
  sound: boolean;
  trouble: string;
}

export const videoSources = (): Promise<Sources> => staffRequest("GET", "/api/staff/video/sources");
export const openSrt = (showId: string): Promise<SrtFacts> => staffRequest("POST", at(showId, "/srt"), {});
export const filmOf = (showId: string): Promise<FilmFacts> => staffRequest("GET", at(showId, "/film"));
export const removeFilm = (showId: string): Promise<unknown> => staffRequest("DELETE", at(showId, "/film"));
export const uploadFilm = (showId: string, file: File, onProgress: (share: number) => void): Upload<FilmFacts> =>
  upload(at(showId, `/film?name=${encodeURIComponent(file.name)}`), file, onProgress);

export interface RecordingFacts {
  state: "" | "kept" | "removed";
  bytes: number;
  length_ms: number;
  until_ms: number | null;
  /** What was filmed without a break, each a file of its own. */
  pieces: { begins_at_ms: number; length_ms: number; file: string }[];
  /** What was filmed while a card was on the picture, cut when it is fetched; none before the show is over. */
  clips: { card_id: string; title: string; begins_at_ms: number; length_ms: number; file: string }[];
}

export const recordingOf = (showId: string): Promise<RecordingFacts> => staffRequest("GET", at(showId, "/recording"));
export const keepRecording = (showId: string, keep: boolean): Promise<RecordingFacts> =>
  staffRequest("PUT", at(showId, "/recording"), { keep });

export const encoderOf = (showId: string): Promise<EncoderFacts> => staffRequest("GET", at(showId, "/encoder"));
export const cameraLink = (showId: string): Promise<CameraLink> => staffRequest("POST", at(showId, "/camera"), {});

export interface Invitation {
  invitation_id: string;
  label: string;
  place_limit: number;
  places_taken: number;
  url: string;
}

export const invite = (showId: string, label: string, places: number): Promise<Invitation> =>
  staffRequest("POST", at(showId, "/invitations"), { label, place_limit: places });
export const invitationsOf = (showId: string): Promise<{ invitations: Invitation[] }> =>
  staffRequest("GET", at(showId, "/invitations"));

// --- products, for choosing what to sell ----------------------------------------------------------------------------

export interface StaffVariant {
  variant_id: string;
  handle: string;
  title: string;
  label: string;
  price_minor: number;
  was_minor: number | null;
  swatch: string;
  image: string;
  retired: boolean;
  pools: { location_id: string; location_name: string; available: number; on_shelf?: number }[];
}

export interface StaffProduct {
  product_id: string;
  handle: string;
  title: string;
  vendor: string;
  type: string;
  published: boolean;
  image: string;
  variants: StaffVariant[];
}

export const findProducts = (query: string): Promise<{ products: StaffProduct[]; found: number }> =>
  staffRequest("GET", `/api/staff/products?q=${encodeURIComponent(query)}`);

/** Units a deal can still be given from one location: what the shop's shelf has goes to a deal that needs it. */
export const freeUnits = (variant: StaffVariant, locationId: string): number => {
  const pool = variant.pools.find((one) => one.location_id === locationId);
  return pool ? pool.available + (pool.on_shelf ?? 0) : 0;
};

export interface Location {
  location_id: string;
  kind: "warehouse" | "shop";
  name: string;
  is_default: boolean;
}

export const locationsOf = (): Promise<{ locations: Location[] }> => staffRequest("GET", "/api/staff/locations");

// --- claims and offers ----------------------------------------------------------------------------------------------

export const changeClaims = (showId: string, claims: ClaimRules): Promise<unknown> =>
  staffRequest("PATCH", at(showId), { claims });

/** A rule as the merchant says it: when this happens to that, offer so-and-so. */
export interface OfferRuleDraft {
  moment: OfferFacts["moment"];
  of_kind: "any" | "card" | "product" | "variant" | "tag";
  of_value: string;
  offer_kind: OfferFacts["kind"];
  offer_value: string;
  words: Record<string, string>;
  at_most: number;
  everywhere: boolean;
}

export interface OfferRule extends OfferRuleDraft {
  rule_id: string;
}

/** How often something was offered, stood on a screen, was closed and taken; `rule_id` "" is the house's own order. */
export interface OfferCount {
  rule_id: string;
  moment: OfferFacts["moment"];
  kind: OfferFacts["kind"];
  sent: number;
  shown: number;
  dismissed: number;
  taken: number;
}

export interface OffersOfShow {
  rules: OfferRule[];
  counts: OfferCount[];
}

export const offersOf = (showId: string): Promise<OffersOfShow> => staffRequest("GET", at(showId, "/offers"));
export const addRule = (showId: string, rule: OfferRuleDraft): Promise<unknown> =>
  staffRequest("POST", at(showId, "/offers"), rule);
export const changeRule = (showId: string, ruleId: string, rule: OfferRuleDraft): Promise<unknown> =>
  staffRequest("PUT", at(showId, `/offers/${encodeURIComponent(ruleId)}`), rule);
export const removeRule = (showId: string, ruleId: string): Promise<unknown> =>
  staffRequest("DELETE", at(showId, `/offers/${encodeURIComponent(ruleId)}`));
export const orderRules = (showId: string, ruleIds: string[]): Promise<unknown> =>
  staffRequest("POST", at(showId, "/offers/order"), { rule_ids: ruleIds });

// --- moderation -------------------------------------------------------------------------------------------------------

/** line id, viewer id, name, text, and whether the room saw it. */
export type TriageLine = [string, string, string, string, boolean];

export interface TriageItem {
  id: string;
  kind: "held" | "question";
  count: number;
  lines: TriageLine[];
  why: string;
  card: string;
  title: string;
}

export interface TriageHand {
  items: TriageItem[];
  waiting: number;
  in_hand: number;
}

export const takeItems = (showId: string): Promise<TriageHand> => staffRequest("POST", at(showId, "/triage/take"), {});
export const returnItems = (showId: string, itemId = ""): Promise<unknown> =>
  staffRequest("POST", at(showId, "/triage/return"), { item_id: itemId });

export interface Silenced {
  viewer_id: string;
  name: string;
  kind: "mute" | "ban";
  until_ms: number | null;
  by: string;
}

export const silencedOf = (showId: string): Promise<{ people: Silenced[] }> => staffRequest("GET", at(showId, "/silenced"));

export const inboxOf = (showId: string): Promise<{ questions: PrivateQuestion[]; unanswered: number }> =>
  staffRequest("GET", `/api/staff/inbox?show=${encodeURIComponent(showId)}`);
export const answerPrivately = (questionId: string, text: string): Promise<PrivateQuestion> =>
  staffRequest("POST", `/api/staff/inbox/${encodeURIComponent(questionId)}/answer`, { text });

export type StarterName = "en" | "fr" | "zh";

export interface TalkLists {
  version: number;
  words: string[];
  allowed: string[];
  link_hosts: string[];
  starters: StarterName[];
}

export interface TalkRules {
  rules: TalkLists & { changed_by: string; changed_at_ms: number | null };
  starters: Record<StarterName, string[]>;
  own_hosts: string[];
  judge: { status: "off" | "well" | "failing" | "open"; fallback: "allow" | "hold" | "refuse"; budget_ms: number; last_failure: string };
}

const RULES = "/api/staff/talk-rules";
export const talkRules = (): Promise<TalkRules> => staffRequest("GET", RULES);
export const saveTalkRules = (lists: TalkLists): Promise<TalkRules> => staffRequest("PUT", RULES, lists);
export const tryLine = (text: string): Promise<{ word: string; link: string }> => staffRequest("POST", `${RULES}/try`, { text });
