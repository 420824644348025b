/** Her bag: what is set aside, where she waits, and her orders with their codes. */
import { useEffect } from "preact/hooks";
import { liveHolds } from "../shared/fold";
import { t } from "../shared/i18n";
import type { Hold, OrderFacts } from "../shared/protocol";
import { Button, Countdown, EmptyState, Icon, Picture, Sheet } from "../shared/ui";
import { openCheckout, SETTLED, refreshOrders, withDetails } from "./checkout";
import { nameOf, priceOf } from "./offer";
import { PickUp } from "./Checkout";
import { accept, giveBack, room } from "./room";
import { place, price } from "./words";

export function Bag({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Sheet open={open} title={t("bag.title")} onClose={onClose}>
      <Inside onClose={onClose} />
    </Sheet>
  );
}

function Inside({ onClose }: { onClose: () => void }) {
  useEffect(() => void refreshOrders().catch(() => undefined), []);
  const holds = liveHolds(room.value);
  const ordered = new Set(Object.values(room.value.orders).map((order) => order.rid));
  const open = holds.filter((hold) => !(hold.state === "paying" && ordered.has(hold.rid)));
  const orders = Object.values(room.value.orders).filter((order) => order.status !== "cancelled");
  if (open.length + orders.length === 0) {
    return (
      <EmptyState icon="bag" title={t("bag.empty")}>
        {t("bag.empty_text")}
      </EmptyState>
    );
  }
  const go = (rid: string): void => {
    onClose();
    openCheckout(rid);
  };
  return (
    <div class="bag">
      {open.map((hold) => (
        <HoldRow key={hold.rid} hold={hold} onGo={() => go(hold.rid)} />
      ))}
      {orders.map((order) => (
        <OrderRow key={order.order_id} order={order} onGo={() => go(order.rid)} />
      ))}
    </div>
  );
}

function HoldRow({ hold, onGo }: { hold: Hold; onGo: () => void }) {
  const name = nameOf(room.value, hold);
  return (
    <section class="bag-row">
      <Picture src={name.image} name={name.title} class="what-image" />
      <div class="bag-words">
        <b dir="auto">{[name.title, name.label].filter(Boolean).join(" · ")}</b>
        <span class="tabular">{price(priceOf(room.value, hold))}</span>
        <span class="muted">
          {hold.state === "waiting" ? t("say.nth", { nth: place(hold.place ?? 1) }) : t(`bag.${hold.state}`)}{" "}
          {hold.due_at_ms !== null && hold.state !== "waiting" && <Countdown toMs={hold.due_at_ms} />}
        </span>
        <div class="bag-acts">
          {hold.state === "offered" && (
            <Button onClick={() => accept(hold.rid, hold.lines.map((one) => one.deal_id))}>{t("act.take")}</Button>
          )}
          {(hold.state === "held" || hold.state === "paying") && (
            <Button onClick={onGo}>{hold.state === "held" ? t("act.checkout") : t("act.pay")}</Button>
          )}
          {hold.state !== "paying" && (
            <button type="button" class="text-button" onClick={() => giveBack(hold.rid)}>
              {hold.state === "waiting" ? t("act.leave_line") : hold.state === "entered" ? t("act.leave_draw") : t("act.give_back")}
            </button>
          )}
        </div>
      </div>
    </section>
  );
}

const TONE: Partial<Record<OrderFacts["status"], string>> = {
  confirmed: "tag-good",
  paying: "tag-warn",
  declined: "tag-bad",
};

function OrderRow({ order, onGo }: { order: OrderFacts; onGo: () => void }) {
  const full = withDetails(order);
  const title = full.page?.lines.map((line) => [line.title, line.label].filter(Boolean).join(" · ")).join(", ");
  return (
    <section class="bag-row bag-order">
      <div class="bag-words">
        <span class="bag-order-head">
          <b dir="auto">{title || t("done.number", { number: order.number })}</b>
          <span class={`tag ${TONE[order.status] ?? ""}`}>{t(`order.${order.status}`)}</span>
        </span>
        <span class="muted tabular">
          {order.number} · {price(order.total_minor)}
        </span>
        {order.status === "confirmed" && order.pickup_code && <PickUp order={full} />}
        {!SETTLED.has(order.status) && (
          <div class="bag-acts">
            <Button kind="soft" onClick={onGo}>
              {order.status === "declined" ? t("declined.again") : t("act.pay")} <Icon name="next" size={16} />
            </Button>
          </div>
        )}
      </div>
    </section>
  );
}
