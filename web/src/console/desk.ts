/**
 * The live desk's knowledge of one show: the room as everyone sees it, what only the desk hears, the rundown, alerts,
 * and the one way to command. What arrives: frames of the socket and answers of the API. What leaves: signals, and
 * commands with an id of their own; a double click sends one. It does not know the screen.
 */
import { batch, computed, signal } from "@preact/signals";
import { Refusal } from "../shared/api";
import { EMPTY, fold, numbersOf, withPrivate, type Numbers, type RoomState } from "../shared/fold";
import { refusalText } from "../shared/i18n";
import { newId } from "../shared/ids";
import type { Acted, CardFacts, DealFacts, HostCommand, LengthenedTold, Level, Line, PictureDelay, Presence, PrivateQuestion, ToViewer } from "../shared/protocol";
import { roomUrl, ShowSocket, type LineStatus } from "../shared/socket";
import { serverClock } from "../shared/time";
import { orderSpike, stockAlerts, withAlerts, type Alert, type Reading } from "./alerts";
import { Deciding } from "./deciding";
import type { PictureFacts } from "./interruption";
import { nextOf, nowOf, previousOf, undoOf, type Shown } from "./rundown";
import {
  answerPrivately,
  inboxOf,
  ordersOf,
  sendCommand,
  showOf,
  type OrderRow,
  type StaffCard,
  type StaffShow,
  type Totals,
  type TriageItem,
} from "./server";
import { renewStaffToken, staffToken, staffTokenExpiresAtMs } from "./session";

export interface Toast {
  says: string; // key, or a sentence of the server
  params: Record<string, string | number>;
  undo: (() => void) | null;
  tone: "plain" | "bad";
  id: number;
}

export const UNDO_MS = 5_000;
const KEPT_MAX = 100;
const ORDERS_AGAIN_MS = 600;

export class Desk {
  readonly room = signal<RoomState>(EMPTY);
  readonly line = signal<LineStatus>({ word: "connecting" });
  readonly show = signal<StaffShow | null>(null);
  readonly trouble = signal<Refusal | null>(null);
  /** What was asked of this host in private, in this show. */
  readonly inbox = signal<readonly PrivateQuestion[]>([]);
  readonly deciding: Deciding;
  /** Who of the staff is in the room, and what they did with the talk, the newest last. */
  readonly here = signal<readonly Presence[]>([]);
  readonly acts = signal<readonly Acted[]>([]);
  /** How late the viewers see the picture; null before any of them said so. */
  readonly delay = signal<PictureDelay | null>(null);
  /** The clock of the picture on this desk; null where there is none. */
  pictureMs: () => number | null = () => null;
  readonly unanswered = computed(() => this.inbox.value.filter((one) => !one.answer).length);
  readonly orders = signal<readonly OrderRow[]>([]);
  readonly totals = signal<Totals | null>(null);
  readonly alerts = signal<readonly Alert[]>([]);
  readonly toast = signal<Toast | null>(null);
  /** How the picture does, and what lengthening reservations did last. */
  readonly picture = signal<PictureFacts | null>(null);
  readonly lengthened = signal<LengthenedTold | null>(null);
  /** Units that somebody holds and does not pay for yet, over all deals. */
  readonly heldUnits = computed(() =>
    Object.values(this.room.value.levels).reduce((sum, [, held]) => sum + held, 0),
  );
  readonly shown = signal<ReadonlySet<string>>(new Set());
  readonly last = signal("");
  /** The command that is on its way, by its word, so that a button can say so. */
  readonly busy = signal("");

  /** The rundown in order, each card with its newest facts: prices and openings come by the socket. */
  readonly cards = computed<readonly (StaffCard & CardFacts)[]>(() => {
    const live = new Map(this.room.value.cards.map((card) => [card.card_id, card]));
    return (this.show.value?.cards ?? []).map((card) => ({ ...card, ...live.get(card.card_id) }));
  });
  readonly status = computed(() => this.room.value.show?.status ?? this.show.value?.show.status ?? "draft");
  /** The card on the picture; a show that is over has no picture. */
  readonly onAir = computed(() => (this.status.value === "ended" ? "" : this.room.value.onAir));
  readonly now = computed(() => nowOf(this.cards.value, this.onAir.value));
  readonly next = computed(() => nextOf(this.cards.value, this.onAir.value, this.last.value));
  readonly previous = computed(() => previousOf(this.cards.value, this.onAir.value, this.last.value));
  readonly queue = computed(() =>
    this.room.value.questions
      .filter((question) => question.status !== "answered")
      .sort((a, b) => Number(b.status === "answering") - Number(a.status === "answering") || b.votes - a.votes),
  );

  private readonly socket: ShowSocket;
  private confirmedAtMs: number[] = [];
  private toasts = 0;
  /** Commands on their way, by what they say. */
  private readonly underWay = new Map<string, Promise<boolean>>();
  private ordersTimer: ReturnType<typeof setTimeout> | undefined;
  private orderLooks = 0;
  private readonly orderVersions = new Map<string, number>();

  constructor(readonly showId: string) {
    this.deciding = new Deciding(showId);
    this.socket = new ShowSocket({
      url: roomUrl(showId),
      clock: serverClock,
      token: staffToken,
      renewToken: renewStaffToken,
      tokenExpiresAtMs: staffTokenExpiresAtMs,
      device: "desk",
      heard: () => this.room.value.talk.at(-1)?.line_id ?? "",
      onMessage: (message) => this.hear(message),
      onStatus: (status) => this.lineIs(status),
    });
  }

  async start(): Promise<void> {
    await this.load();
    if (!this.show.value) return;
    if (!staffToken()) await renewStaffToken().catch(() => "");
    this.socket.start();
    const wake = (): void => this.socket.wake();
    addEventListener("online", wake);
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && wake());
  }

  /** The show with its rundown and its orders, again. */
  async load(): Promise<void> {
    try {
      const show = await showOf(this.showId);
      batch(() => {
        this.show.value = show;
        this.picture.value = show.picture;
        this.trouble.value = null;
        const seen = show.cards.filter((card) => card.state && card.state !== "planned").map((card) => card.card_id);
        this.shown.value = new Set([...this.shown.value, ...seen]);
        if (!this.last.value) this.last.value = seen.at(-1) ?? "";
      });
      await Promise.all([this.loadOrders(), this.loadInbox()]);
    } catch (error) {
      this.trouble.value = error instanceof Refusal ? error : Refusal.unreachable();
    }
  }

  numbers(deal: DealFacts): Numbers {
    return numbersOf(this.room.value, deal);
  }

  // --- commands ----------------------------------------------------------------------------------------------------

  /** Send a command; true where it was done. A refusal becomes a sentence at the bottom, never a dialog. Said again
      while it is on its way it is the same command. */
  command(command: HostCommand): Promise<boolean> {
    const says = JSON.stringify(command);
    const sent = this.underWay.get(says) ?? this.send(command).finally(() => this.underWay.delete(says));
    this.underWay.set(says, sent);
    return sent;
  }

  private async send(command: HostCommand): Promise<boolean> {
    this.busy.value = command.do;
    try {
      await sendCommand(this.showId, newId("cmd"), command);
      return true;
    } catch (error) {
      this.say(error instanceof Refusal ? refusalText(error) : String(error), {}, null, "bad");
      return false;
    } finally {
      this.busy.value = "";
    }
  }

  async showCard(card: { card_id: string; title: string } | undefined, openInSeconds?: number): Promise<void> {
    if (!card || this.busy.value === "show_card") return;
    const step: Shown = { before: this.room.value.onAir, after: card.card_id };
    if (step.before === step.after && openInSeconds === undefined) return;
    this.toast.value = null; // until this step is done there is nothing to undo, least of all the one before
    const done = await this.command({
      do: "show_card",
      card_id: card.card_id,
      ...(openInSeconds === undefined ? {} : { open_in_seconds: openInSeconds }),
    });
    if (done && step.before !== step.after)
      this.say("console.shown", { name: card.title }, () => void this.command(undoOf(step)));
  }

  /** Whoever said the line may not speak for a while; what she said stays until it is hidden. */
  async mute(line: Line, minutes: number, reason = ""): Promise<void> {
    const muting = (lasts: number): HostCommand => ({ do: "mute", line_id: line.line_id, minutes: lasts, reason });
    if (await this.command(muting(minutes)))
      this.say("console.muted", { name: line.name, minutes }, () => void this.command(muting(0)));
  }

  /** Nobody sees the line any more; the next moment it can be shown again. */
  async hideLine(line: Line, reason = ""): Promise<void> {
    if (await this.command({ do: "hide_line", line_id: line.line_id, reason }))
      this.say("mod.hidden", { name: line.name }, () => void this.command({ do: "restore_line", line_id: line.line_id }));
  }

  async ban(line: Line, reason = ""): Promise<void> {
    const banning = (lift: boolean): HostCommand => ({ do: "ban", line_id: line.line_id, lift, reason });
    if (await this.command(banning(false)))
      this.say("mod.banned", { name: line.name }, () => void this.command(banning(true)));
  }

  // --- the triage --------------------------------------------------------------------------------------------------

  async settle(item: TriageItem, how: Omit<Extract<HostCommand, { do: "settle" }>, "do" | "item_id">): Promise<boolean> {
    const done = await this.command({ do: "settle", item_id: item.id, ...how });
    if (done) this.deciding.drop(item);
    await this.deciding.take();
    return done;
  }

  async skip(item: TriageItem): Promise<void> {
    try {
      await this.deciding.pass(item);
    } catch (error) {
      this.say(error instanceof Refusal ? refusalText(error) : String(error), {}, null, "bad");
    }
  }

  // --- private questions -------------------------------------------------------------------------------------------

  async answerPrivately(question: PrivateQuestion, text: string): Promise<boolean> {
    try {
      const answered = await answerPrivately(question.question_id, text);
      this.inbox.value = withPrivate(this.inbox.value, answered);
      return true;
    } catch (error) {
      this.say(error instanceof Refusal ? refusalText(error) : String(error), {}, null, "bad");
      return false;
    }
  }

  private async loadInbox(): Promise<void> {
    const came = await inboxOf(this.showId).catch(() => null); // the rest of the desk does not wait for it
    if (came) this.inbox.value = [...came.questions].sort((a, b) => a.at_ms - b.at_ms);
  }

  async hideCard(): Promise<void> {
    const card = this.now.value;
    if (!card) return;
    const back = card.card_id;
    this.toast.value = null;
    if (await this.command({ do: "hide_card", card_id: back }))
      this.say("console.hidden", { name: card.title }, () => void this.command({ do: "show_card", card_id: back }));
  }

  /** Count down to the opening of the card's deals: those of the card on the picture, else the next card's. */
  async countdown(seconds: number): Promise<void> {
    const now = this.now.value;
    const waiting = now?.deals.filter((deal) => deal.status === "draft") ?? [];
    if (now && waiting.length) {
      for (const deal of waiting) await this.command({ do: "open_deal", deal_id: deal.deal_id, in_seconds: seconds });
      return;
    }
    await this.showCard(this.next.value, seconds);
  }

  /** Close every open deal of the card on the picture. */
  async closeDeals(): Promise<void> {
    for (const deal of openDeals(this.now.value)) await this.command({ do: "close_deal", deal_id: deal.deal_id });
  }

  /** Take every deal of this card back: no new holds from now on, and those that are there are paid or end. */
  async pullDeals(card: CardFacts | undefined, holds: "honour" | "cancel"): Promise<void> {
    for (const deal of pullable(card, (one) => this.numbers(one)))
      await this.command({ do: "close_deal", deal_id: deal.deal_id, pulled: true, holds });
  }

  async pause(text: string): Promise<void> {
    await this.command(this.status.value === "interrupted" ? { do: "go_live" } : { do: "interrupt", text });
  }

  undo(): void {
    const undo = this.toast.value?.undo;
    this.toast.value = null;
    undo?.();
  }

  dismiss(alertId: string): void {
    this.alerts.value = this.alerts.value.filter((alert) => alert.id !== alertId);
  }

  say(says: string, params: Toast["params"] = {}, undo: Toast["undo"] = null, tone: Toast["tone"] = "plain"): void {
    const id = ++this.toasts;
    this.toast.value = { says, params, undo, tone, id };
    setTimeout(() => this.toast.value?.id === id && (this.toast.value = null), UNDO_MS);
  }

  // --- what is heard -----------------------------------------------------------------------------------------------

  private hear(message: ToViewer): void {
    const before = this.room.value;
    batch(() => {
      this.room.value = fold(before, message);
      if (message.t === "desk") this.hearDesk(message);
      if (message.t === "levels") this.watchStock(before);
      this.followPicture(before);
    });
    if (message.t === "welcome" && before.epoch && !message.recovered) void this.load();
    const known = new Set(this.show.value?.cards.map((card) => card.card_id));
    if (this.show.value && this.room.value.cards.some((card) => !known.has(card.card_id))) void this.load();
  }

  private hearDesk(message: Extract<ToViewer, { t: "desk" }>): void {
    const { private: asked, order, acted, here, triage, delay, picture, lengthened } = message;
    if (picture) this.picture.value = { away: picture.away, said: picture.said };
    if (lengthened) this.lengthened.value = lengthened;
    if (asked) this.inbox.value = withPrivate(this.inbox.value, asked);
    if (here) this.here.value = here;
    if (delay) this.delay.value = delay.reports > 0 ? delay : null;
    if (acted) this.acts.value = [...this.acts.value, acted].slice(-KEPT_MAX);
    if (triage) this.deciding.heard(triage);
    // Told again, or late: an order that is known as it is, or further.
    if (!order || order.version <= (this.orderVersions.get(order.order_id) ?? 0)) return;
    this.orderVersions.set(order.order_id, order.version);
    if (order.status === "confirmed") this.noteOrder();
    clearTimeout(this.ordersTimer);
    this.ordersTimer = setTimeout(() => void this.loadOrders(), ORDERS_AGAIN_MS);
  }

  private noteOrder(): void {
    const now = serverClock.now();
    this.confirmedAtMs = [...this.confirmedAtMs.slice(-KEPT_MAX), now];
    const spike = orderSpike(this.confirmedAtMs, now);
    if (spike) this.alerts.value = withAlerts(this.alerts.value, [spike]);
  }

  private async loadOrders(): Promise<void> {
    const look = ++this.orderLooks;
    try {
      const { orders, totals } = await ordersOf(this.showId);
      if (look !== this.orderLooks) return; // a later look is on its way, or was faster
      batch(() => {
        this.orders.value = orders;
        this.totals.value = totals;
      });
    } catch {
      // The list stays as it was; the next order, or the next visit of the tab, asks again.
    }
  }

  private watchStock(before: RoomState): void {
    const fresh = stockAlerts(
      readings(before.levels),
      readings(this.room.value.levels),
      (dealId) => this.nameOf(dealId),
      serverClock.now(),
    );
    if (fresh.length) this.alerts.value = withAlerts(this.alerts.value, fresh);
  }

  private followPicture(before: RoomState): void {
    const onAir = this.room.value.onAir;
    if (onAir === before.onAir || !onAir) return;
    this.last.value = onAir;
    this.shown.value = new Set([...this.shown.value, onAir]);
  }

  private nameOf(dealId: string): string {
    for (const card of this.cards.value)
      for (const deal of card.deals)
        if (deal.deal_id === dealId) return deal.label ? `${card.title}, ${deal.label}` : card.title;
    return "";
  }

  private lineIs(status: LineStatus): void {
    const was = this.line.value.word;
    this.line.value = status;
    if (status.word === "returning" && was === "open")
      this.alerts.value = withAlerts(this.alerts.value, [lineAlert("warn", "console.alert_line_lost")]);
    if (status.word === "open" && was !== "open")
      this.alerts.value = this.alerts.value.filter((alert) => alert.says !== "console.alert_line_lost");
  }
}

/** The deals of a card that a viewer can take right now. */
export function openDeals(card: CardFacts | undefined): DealFacts[] {
  return card?.deals.filter((deal) => deal.status === "open" || deal.status === "announced") ?? [];
}

/** Deals that can still be pulled: on sale, or closed with units that somebody holds or is paying for. */
export function pullable(card: CardFacts | undefined, numbers: (deal: DealFacts) => Numbers): DealFacts[] {
  return (
    card?.deals.filter((deal) => {
      if (deal.status === "open" || deal.status === "announced") return true;
      const { held, paying } = numbers(deal);
      return deal.status !== "draft" && deal.pulled !== "cancel" && held + paying > 0;
    }) ?? []
  );
}

function lineAlert(tone: Alert["tone"], says: string): Alert {
  return { id: `${says}:${Date.now()}`, tone, says, params: {}, at_ms: Date.now() };
}

function readings(levels: Readonly<Record<string, Level>>): Record<string, Reading> {
  return Object.fromEntries(
    Object.entries(levels).map(([dealId, [available, held, paying, sold, waiting]]) => [
      dealId,
      { available, held, paying, sold, waiting },
    ]),
  );
}
