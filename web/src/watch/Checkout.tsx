/** From hold to pick-up code without leaving the picture: where to, pay, done. One sheet, one clock. */
import { useEffect, useState } from "preact/hooks";
import { api, type Refusal } from "../shared/api";
import { refusalText, t } from "../shared/i18n";
import type { Hold } from "../shared/protocol";
import { Button, Countdown, EmptyState, Icon, Picture, Sheet } from "../shared/ui";
import {
  cancelOrder,
  checkOut,
  checkoutHold,
  checkoutOrder,
  checkoutRid,
  closeCheckout,
  payAgain,
  refreshOrders,
  stepOf,
  type OrderView,
  type Where,
} from "./checkout";
import { nameOf, priceOf } from "./offer";
import { giveBack, room } from "./room";
import { at, price } from "./words";

const LOOK_AGAIN_MS = 4000;

export function Checkout() {
  const hold = checkoutHold.value;
  const order = checkoutOrder.value;
  const step = stepOf(hold, order?.facts ?? null);
  const open = checkoutRid.value !== "" && (hold !== null || order !== null);
  return (
    <Sheet open={open} title={t(`checkout.title.${step}`)} onClose={closeCheckout} shape="full" class="checkout">
      <ol class="steps" aria-hidden="true">
        {(["where", "pay", "done"] as const).map((one, index) => (
          <li key={one} class={stepIndex(step) >= index ? "is-reached" : ""}>
            {t(`checkout.step.${one}`)}
          </li>
        ))}
      </ol>
      {step === "where" && hold && <WhereStep hold={hold} key={hold.rid} />}
      {step === "pay" && order && <PayStep order={order} key={order.payUrl} />}
      {step === "declined" && order && <DeclinedStep order={order} />}
      {step === "done" && (order ? <DoneStep order={order} /> : <p role="status">{t("say.yours")}</p>)}
      {step === "gone" && <GoneStep order={order} />}
    </Sheet>
  );
}

const stepIndex = (step: ReturnType<typeof stepOf>): number => ({ where: 0, pay: 1, declined: 1, done: 2, gone: -1 })[step];

function What({ hold }: { hold: Hold }) {
  const name = nameOf(room.value, hold);
  const pieces = hold.lines.reduce((sum, line) => sum + line.qty, 0);
  return (
    <div class="what">
      <Picture src={name.image} name={name.title} class="what-image" eager />
      <div>
        <p class="what-title display" dir="auto">
          {name.title}
        </p>
        <p class="muted" dir="auto">
          {[name.label, pieces > 1 ? t("checkout.pieces", { count: pieces }) : ""].filter(Boolean).join(" · ")}
        </p>
      </div>
      <p class="what-price tabular">{price(priceOf(room.value, hold))}</p>
    </div>
  );
}

// --- where to ------------------------------------------------------------------------------------------------------

interface Location {
  location_id: string;
  name: string;
  address: string;
  city: string;
  hours: string;
}

const EMPTY_WHERE: Where = {
  delivery: "pickup",
  locationId: "",
  contactName: "",
  contact: "",
  address: { line1: "", line2: "", postcode: "", city: "", country: "" },
};

type Field = "locationId" | "contactName" | "contact" | "line1" | "postcode" | "city" | "country";

function missing(where: Where): Field[] {
  const needed: [Field, string][] = [
    ["contactName", where.contactName],
    ["contact", where.contact],
  ];
  if (where.delivery === "pickup") needed.push(["locationId", where.locationId]);
  else needed.push(["line1", where.address.line1], ["postcode", where.address.postcode], ["city", where.address.city], ["country", where.address.country]);
  const empty = needed.filter(([, value]) => !value.trim()).map(([field]) => field);
  if (where.contact.trim() && !CONTACT.test(where.contact.trim())) empty.push("contact");
  return empty;
}

/** An e-mail address or a phone number, as far as a page can tell; the server has the last word. */
const CONTACT = /^(\S+@\S+\.\S+|\+?[\d\s()./-]{6,20})$/;

function WhereStep({ hold }: { hold: Hold }) {
  const [where, setWhere] = useState<Where>({ ...EMPTY_WHERE, contactName: room.value.you?.name ?? "" });
  const [locations, setLocations] = useState<Location[] | null>(null);
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState("");
  const wrong = tried ? missing(where) : [];

  useEffect(() => {
    api
      .get<{ locations: Location[] }>("/api/locations")
      .then(({ locations: all }) => {
        setLocations(all);
        const own = all.find((one) => one.name === room.value.you?.shop_name) ?? all[0];
        if (own) setWhere((now) => ({ ...now, locationId: now.locationId || own.location_id }));
        else setWhere((now) => ({ ...now, delivery: "ship" }));
      })
      .catch((error: Refusal) => setRefusal(refusalText(error)));
  }, []);

  const submit = async (): Promise<void> => {
    setTried(true);
    const first = missing(where)[0];
    if (first) {
      document.getElementById(`field-${first}`)?.focus();
      return;
    }
    setBusy(true);
    setRefusal("");
    try {
      await checkOut(hold.rid, where);
    } catch (error) {
      setRefusal(refusalText(error as Refusal));
    } finally {
      setBusy(false);
    }
  };
  const address = (change: Partial<Where["address"]>): void => setWhere({ ...where, address: { ...where.address, ...change } });

  return (
    <form
      class="form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <What hold={hold} />
      {hold.due_at_ms !== null && (
        <p class="clock-line">
          <Icon name="clock" size={17} /> {t("checkout.held_for")} <Countdown toMs={hold.due_at_ms} />
        </p>
      )}
      <div class="segments" role="radiogroup" aria-label={t("checkout.how")}>
        {(["pickup", "ship"] as const).map((one) => (
          <button
            key={one}
            type="button"
            role="radio"
            aria-checked={where.delivery === one}
            onClick={() => setWhere({ ...where, delivery: one })}
          >
            <Icon name={one === "pickup" ? "shop" : "parcel"} size={19} /> {t(`checkout.${one}`)}
          </button>
        ))}
      </div>
      {where.delivery === "pickup" ? (
        <Counters all={locations} chosen={where.locationId} onChoose={(locationId) => setWhere({ ...where, locationId })} />
      ) : (
        <div class="form-grid">
          <Text field="line1" wide label={t("field.line1")} value={where.address.line1} autocomplete="address-line1" wrong={wrong} onInput={(line1) => address({ line1 })} />
          <Text field="line2" wide label={t("field.line2")} value={where.address.line2} autocomplete="address-line2" wrong={wrong} onInput={(line2) => address({ line2 })} />
          <Text field="postcode" label={t("field.postcode")} value={where.address.postcode} autocomplete="postal-code" wrong={wrong} onInput={(postcode) => address({ postcode })} />
          <Text field="city" label={t("field.city")} value={where.address.city} autocomplete="address-level2" wrong={wrong} onInput={(city) => address({ city })} />
          <Text field="country" wide label={t("field.country")} value={where.address.country} autocomplete="country-name" wrong={wrong} onInput={(country) => address({ country })} />
        </div>
      )}
      <div class="form-grid">
        <Text field="contactName" label={t("field.name")} value={where.contactName} autocomplete="name" wrong={wrong} onInput={(contactName) => setWhere({ ...where, contactName })} />
        <Text field="contact" label={t("field.contact")} value={where.contact} autocomplete="email" wrong={wrong} onInput={(contact) => setWhere({ ...where, contact })} />
      </div>
      {refusal && (
        <p class="field-error" role="alert">
          {refusal}
        </p>
      )}
      <div class="sticky-foot">
        <Button type="submit" wide size="l" busy={busy}>
          {t("checkout.to_payment")}
        </Button>
        <button type="button" class="text-button" onClick={() => (giveBack(hold.rid), closeCheckout())}>
          {t("act.give_back")}
        </button>
      </div>
    </form>
  );
}

interface TextProps {
  field: string;
  label: string;
  value: string;
  autocomplete: string;
  wide?: boolean;
  wrong: readonly string[];
  onInput: (value: string) => void;
}

function Text({ field, label, value, autocomplete, wide, wrong, onInput }: TextProps) {
  const bad = wrong.includes(field);
  return (
    <label class={`field ${wide ? "is-wide" : ""}`}>
      <span class="field-label">{label}</span>
      <input
        id={`field-${field}`}
        class="input"
        name={field}
        value={value}
        maxLength={200}
        autocomplete={autocomplete as "name"}
        aria-invalid={bad || undefined}
        aria-describedby={bad ? `wrong-${field}` : undefined}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      {bad && (
        <span class="field-error" id={`wrong-${field}`}>
          {field === "contact" ? t("field.contact_wrong") : t("field.missing")}
        </span>
      )}
    </label>
  );
}

function Counters({ all, chosen, onChoose }: { all: Location[] | null; chosen: string; onChoose: (id: string) => void }) {
  if (all === null) return <p class="muted">{t("checkout.loading_counters")}</p>;
  if (all.length === 0) return <p class="muted">{t("checkout.no_counters")}</p>;
  return (
    <div class="counters" role="radiogroup" aria-label={t("checkout.pickup")} id="field-locationId" tabIndex={-1}>
      {all.map((one) => (
        <label key={one.location_id} class={`counter ${chosen === one.location_id ? "is-chosen" : ""}`}>
          <input type="radio" class="sr-only" name="counter" checked={chosen === one.location_id} onChange={() => onChoose(one.location_id)} />
          <Icon name="shop" size={20} />
          <span>
            <b dir="auto">{one.name}</b>
            <span class="muted" dir="auto">
              {[one.address, one.city].filter(Boolean).join(", ")}
            </span>
            {one.hours && <span class="counter-hours">{one.hours}</span>}
          </span>
          {one.name === room.value.you?.shop_name && <span class="tag tag-good">{t("checkout.my_counter")}</span>}
        </label>
      ))}
    </div>
  );
}

// --- pay -----------------------------------------------------------------------------------------------------------

export function Totals({ order: { facts, page } }: { order: OrderView }) {
  return (
    <dl class="totals tabular">
      {page?.lines.map((line) => (
        <div key={`${line.title} ${line.label}`}>
          <dt dir="auto">
            {[line.title, line.label].filter(Boolean).join(" · ")} {line.qty > 1 && `× ${line.qty}`}
          </dt>
          <dd>{price(line.total_minor)}</dd>
        </div>
      ))}
      {page?.delivery === "ship" && (
        <div>
          <dt>{t("totals.shipping")}</dt>
          <dd>{page.shipping_minor === 0 ? t("totals.free") : price(page.shipping_minor)}</dd>
        </div>
      )}
      {page && page.tax_minor > 0 && (
        <div class="muted">
          <dt>{page.tax_included ? t("totals.tax_included") : t("totals.tax")}</dt>
          <dd>{price(page.tax_minor)}</dd>
        </div>
      )}
      <div class="totals-sum">
        <dt>{t("totals.total")}</dt>
        <dd>{price(facts.total_minor)}</dd>
      </div>
    </dl>
  );
}

/** A QR code of the server as a picture: its markup never becomes part of the page. */
function qrImage(svg: string): string {
  const whole = svg.includes("xmlns=") ? svg : svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ');
  return `data:image/svg+xml,${encodeURIComponent(whole)}`;
}

/** What the pay page tells its frame. */
interface PayWord {
  source: "livecommerce.pay";
  pressed: string;
}

function PayStep({ order }: { order: OrderView }) {
  const [opened, setOpened] = useState(false);
  const [pressed, setPressed] = useState("");
  useEffect(() => {
    const listen = (event: MessageEvent<PayWord>): void => {
      if (event.origin !== location.origin || event.data?.source !== "livecommerce.pay") return;
      setPressed(event.data.pressed);
      void refreshOrders().catch(() => undefined);
    };
    addEventListener("message", listen);
    const timer = setInterval(() => void refreshOrders().catch(() => undefined), LOOK_AGAIN_MS);
    return () => {
      removeEventListener("message", listen);
      clearInterval(timer);
    };
  }, []);
  const { facts, payUrl, qrSvg } = order;
  const safe = facts.pay_by_ms === null ? "" : t("pay.safe_until", { time: at(facts.pay_by_ms) });
  return (
    <div class="pay-step">
      <Totals order={order} />
      {facts.pay_by_ms !== null && (
        <p class="clock-line">
          <Icon name="clock" size={17} /> {t("pay.time_left")} <Countdown toMs={facts.pay_by_ms} />
        </p>
      )}
      {pressed ? (
        <div class="notice" role="status">
          <span class="spinner-inline" aria-hidden="true" />
          <p>
            <b>{t("pay.checking")}</b> {safe}
          </p>
        </div>
      ) : opened && payUrl ? (
        <>
          <iframe class="pay-frame" src={payUrl} name="pay" title={t("pay.frame")} />
          <p class="field-hint">{safe}</p>
        </>
      ) : (
        <>
          <Button wide size="l" icon="lock" disabled={!payUrl} onClick={() => setOpened(true)}>
            {t("pay.pay", { amount: price(facts.total_minor) })}
          </Button>
          <p class="field-hint">{safe}</p>
          {qrSvg && (
            <div class="only-desk pay-qr">
              <img src={qrImage(qrSvg)} alt={t("pay.qr")} />
              <p class="muted">{t("pay.qr_text")}</p>
            </div>
          )}
        </>
      )}
    </div>
  );
}

function DeclinedStep({ order }: { order: OrderView }) {
  const { facts } = order;
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState("");
  const act = async (run: (id: string) => Promise<void>): Promise<void> => {
    setBusy(true);
    try {
      await run(facts.order_id);
    } catch (error) {
      setRefusal(refusalText(error as Refusal));
    } finally {
      setBusy(false);
    }
  };
  const untilMs = facts.retry_by_ms ?? facts.pay_by_ms;
  return (
    <div class="pay-step">
      <div class="notice is-bad" role="alert">
        <Icon name="alert" size={22} />
        <p>
          <b>{t("declined.title")}</b> {t("declined.text")}
        </p>
      </div>
      {untilMs !== null && (
        <p class="clock-line is-large">
          <Icon name="clock" size={20} /> {t("declined.kept")} <Countdown toMs={untilMs} />
        </p>
      )}
      <Totals order={order} />
      {refusal && (
        <p class="field-error" role="alert">
          {refusal}
        </p>
      )}
      <Button wide size="l" busy={busy} onClick={() => void act(payAgain)}>
        {t("declined.again")}
      </Button>
      <Button wide kind="quiet" onClick={() => void act(cancelOrder)}>
        {t("declined.cancel")}
      </Button>
    </div>
  );
}

// --- done ----------------------------------------------------------------------------------------------------------

function DoneStep({ order }: { order: OrderView }) {
  const { facts, page } = order;
  useEffect(() => void refreshOrders().catch(() => undefined), [facts.order_id]);
  return (
    <div class="done">
      <div class="done-head" role="status">
        <span class="done-mark" aria-hidden="true">
          <Icon name="check" size={30} />
        </span>
        <h3 class="display">{t("done.title")}</h3>
        <p class="muted tabular">{t("done.number", { number: facts.number })}</p>
      </div>
      {facts.pickup_code && <PickUp order={order} />}
      {page?.delivery === "ship" && <p class="done-line">{t("done.ship")}</p>}
      {page?.promises.map((promise) => (
        <p key={promise} class="done-promise" dir="auto">
          <Icon name="gift" size={17} /> {promise}
        </p>
      ))}
      <Totals order={order} />
      {!facts.livemode && <p class="test-line">{t("done.test")}</p>}
      <Button wide size="l" onClick={closeCheckout}>
        {t("done.back")}
      </Button>
    </div>
  );
}

export function PickUp({ order: { facts, page } }: { order: OrderView }) {
  const counter = page?.counter;
  return (
    <div class="ticket">
      <PickUpCode orderId={facts.order_id} />
      <div class="ticket-words">
        <p class="ticket-code tabular" aria-label={t("done.code", { code: [...facts.pickup_code].join(" ") })}>
          {facts.pickup_code}
        </p>
        {counter && (
          <p dir="auto">
            <b>{counter.name}</b>
          </p>
        )}
        <p class="muted" dir="auto">
          {page?.pickup_promise || t("done.show")}
        </p>
      </div>
    </div>
  );
}

function PickUpCode({ orderId }: { orderId: string }) {
  const [svg, setSvg] = useState("");
  useEffect(() => {
    const path = `/api/orders/${encodeURIComponent(orderId)}/pickup.svg`;
    api.get<string>(path).then(setSvg).catch(() => setSvg("")); // the code stands beside it in letters
  }, [orderId]);
  return <span class="ticket-qr">{svg && <img src={qrImage(svg)} alt={t("done.qr")} />}</span>;
}

function GoneStep({ order }: { order: OrderView | null }) {
  const words = order?.facts.status === "refund_due" || order?.facts.status === "refunded" ? "gone.refund" : "gone.text";
  return (
    <EmptyState icon="clock" title={t("gone.title")}>
      <p>{t(words)}</p>
      <Button kind="soft" onClick={closeCheckout}>
        {t("done.back")}
      </Button>
    </EmptyState>
  );
}
