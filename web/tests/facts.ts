/** Facts for tests, complete, with what matters given. */
import type { CardFacts, DealFacts, Hold, Line, OrderFacts, ShowFacts, Snapshot, Welcome } from "../src/shared/protocol";

export const aDeal = (given: Partial<DealFacts> = {}): DealFacts => ({
  deal_id: "d1",
  variant_id: "v1",
  label: "Rosewood",
  swatch: "#9a4a50",
  image: "",
  price_minor: 2090,
  was_minor: 2900,
  quota: 24,
  limit_per_viewer: 1,
  hold_seconds: 300,
  pay_seconds: 600,
  status: "open",
  opens_at_ms: null,
  closes_at_ms: null,
  level: "soft",
  head_wants_more: "skip",
  limit_by: "guest",
  address_cap: 0,
  hold_cap_seconds: 900,
  pulled: "",
  options: [],
  draw: null,
  ...given,
});

export const aCard = (given: Partial<CardFacts> = {}): CardFacts => ({
  card_id: "a",
  kind: "deal",
  title: "Tint",
  line: "",
  product_handle: "tint",
  image: "",
  deals: [aDeal()],
  bundle_minor: null,
  code: "AA",
  ...given,
});

export const aShow = (given: Partial<ShowFacts> = {}): ShowFacts => ({
  show_id: "sh_1",
  title: "Launch",
  corner: "flash_sale",
  status: "live",
  host_name: "Inès",
  access: "public",
  video: { kind: "none", url: "", alternates: [], poster: "", loop: false, started_at_ms: null, source: "", clock: "pdt", delay_ms: 0, signed: false, by_hand: false },
  scheduled_at_ms: null,
  launch_at_ms: null,
  started_at_ms: null,
  ended_at_ms: null,
  about: "",
  limit_per_person: 0,
  claims: { on: false, keywords: ["SOLD"], lines_shown: true },
  ...given,
});

export const aLine = (line_id: string, given: Partial<Line> = {}): Line => ({
  line_id,
  at_ms: 0,
  name: "Camille",
  text: "hello",
  role: "viewer",
  kind: "chat",
  simulated: false,
  ...given,
});

export const aHold = (given: Partial<Hold> = {}): Hold => ({
  rid: "rid_00000001",
  show_id: "sh_1",
  lines: [{ deal_id: "d1", qty: 1 }],
  state: "held",
  ticket: 1,
  due_at_ms: 300_000,
  place: null,
  token: "",
  order_id: "",
  ...given,
});

export const anOrder = (given: Partial<OrderFacts> = {}): OrderFacts => ({
  order_id: "or_1",
  number: "LC-1",
  rid: "rid_00000001",
  status: "paying",
  total_minor: 2090,
  currency: "EUR",
  livemode: false,
  pickup_code: "",
  pay_url: "/pay/test/x",
  pay_by_ms: 600_000,
  retry_by_ms: null,
  lines: [],
  version: 0,
  ...given,
});

export const aSnapshot = (given: Partial<Snapshot> = {}): Snapshot => ({
  show: aShow(),
  cards: [],
  on_air: "",
  levels: {},
  levels_version: 0,
  talk: [],
  pinned: [],
  questions: [],
  promises: {},
  slow_seconds: 0,
  members_only: false,
  viewers: 1,
  holds: [],
  orders: [],
  ...given,
});

export const aWelcome = (given: Partial<Welcome> = {}): Welcome => ({
  t: "welcome",
  you: { viewer_id: "vw_1", name: "Camille", role: "viewer", advisor_name: "", shop_name: "", member: false },
  now_ms: 1_000_000,
  epoch: "e",
  offset: 0,
  recovered: false,
  ping_seconds: 25,
  holds: [],
  orders: [],
  snapshot: null,
  counting: false,
  missed_talk: false,
  ...given,
});
