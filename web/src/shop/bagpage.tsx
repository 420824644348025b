/** The bag's page: what is set aside with its clock, checkout and payment in place, orders, and what waits to be tried. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, Refusal } from "../shared/api";
import { formatLocale, refusalText, t } from "../shared/i18n";
import { money } from "../shared/money";
import { dayAndTime } from "../shared/time";
import { Button, Countdown, EmptyState, Icon, IconButton, Picture } from "../shared/ui";
import {
  bags,
  cancelOrder,
  checkOut,
  giveUp,
  letGo,
  loadBags,
  orders,
  payAgain,
  setQty,
  tryOns,
  type Article,
  type Bag,
  type OrderPage,
  type Place,
  type TryOn,
  type Where,
} from "./bag";
import { CONTACT, missing, type Field } from "./where";

const LOOK_AGAIN_MS = 4_000;

export const words = (error: unknown): string => (error instanceof Refusal ? refusalText(error) : t("refusal.0"));

export function BagPage(): JSX.Element {
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    const load = (): Promise<void> => loadBags().then(() => setTrouble(""), (error: unknown) => setTrouble(words(error)));
    void load();
    // A payment ends elsewhere, and a clock ends by itself: the page follows.
    const timer = setInterval(() => void load(), LOOK_AGAIN_MS);
    const paid = (event: MessageEvent<{ source?: string }>): void => {
      if (event.origin === location.origin && event.data?.source === "livecommerce.pay") void load();
    };
    addEventListener("message", paid);
    return () => {
      clearInterval(timer);
      removeEventListener("message", paid);
    };
  }, []);
  const held = (bags.value ?? []).filter((bag) => bag.state === "held");
  const waiting = tryOns.value.filter((one) => one.state === "kept");
  const nothing = bags.value !== null && held.length + orders.value.length + waiting.length === 0;
  return (
    <section class="bag-page">
      <h1>{t("shop.bag")}</h1>
      {trouble && (
        <p class="field-error" role="alert">
          {trouble}
        </p>
      )}
      {bags.value === null && !trouble && <p aria-busy="true">{t("shop.bag_loading")}</p>}
      {nothing && (
        <EmptyState icon="bag" title={t("shop.bag_empty")}>
          <p>{t("shop.bag_empty_text")}</p>
          <a class="button button-soft" href="/#products">
            {t("shop.to_products")}
          </a>
        </EmptyState>
      )}
      {held.map((bag) => (
        <OneBag key={bag.place.location_id + bag.from_advisor} bag={bag} />
      ))}
      {waiting.length > 0 && (
        <section aria-labelledby="try-title">
          <h2 id="try-title">{t("shop.try_title")}</h2>
          {waiting.map((one) => (
            <Waiting key={one.try_on_id} one={one} />
          ))}
        </section>
      )}
      {orders.value.length > 0 && (
        <section aria-labelledby="orders-title">
          <h2 id="orders-title">{t("shop.orders")}</h2>
          {orders.value.map((page) => (
            <Order key={page.order.order_id} page={page} />
          ))}
        </section>
      )}
    </section>
  );
}

const placeName = (place: Place): string => (place.kind === "warehouse" ? t("shop.by_parcel") : place.name);
const sum = (minor: number, currency: string): string => money(minor, currency, formatLocale());

function OneBag({ bag }: { bag: Bag }): JSX.Element {
  const [paying, setPaying] = useState(false);
  const [refusal, setRefusal] = useState("");
  const run = (doing: Promise<void>): void => void doing.then(() => setRefusal(""), (error: unknown) => setRefusal(words(error)));
  const title = `bag-${bag.rid}`;
  return (
    <article class="bag" aria-labelledby={title}>
      <header>
        <Icon name={bag.place.kind === "shop" ? "shop" : "parcel"} size={22} />
        <h2 id={title}>{placeName(bag.place)}</h2>
        {bag.due_at_ms !== null && (
          <p class="bag-clock">
            <Icon name="clock" size={17} /> {t("shop.kept_for")} <Countdown toMs={bag.due_at_ms} />
          </p>
        )}
      </header>
      {bag.from_advisor && <p class="muted">{t("shop.from_advisor", { name: bag.from_advisor })}</p>}
      <ul class="bag-lines">
        {bag.lines.map((line) => (
          <Line key={line.variant_id} line={line} currency={bag.currency}>
            {bag.from_advisor ? (
              <span class="tabular">× {line.qty}</span>
            ) : (
              <Stepper line={line} most={bag.qty_most} onSet={(qty) => run(setQty(bag.place.location_id, line.variant_id, qty))} />
            )}
          </Line>
        ))}
      </ul>
      <p class="bag-sum tabular">
        <span>{t("shop.subtotal")}</span> <strong>{sum(bag.subtotal_minor, bag.currency)}</strong>
      </p>
      <p class="field-error" role="status">
        {refusal}
      </p>
      {paying ? (
        <WhereForm bag={bag} />
      ) : (
        <div class="bag-acts">
          <Button size="l" onClick={() => setPaying(true)}>
            {t("shop.check_out")}
          </Button>
          <Button kind="quiet" onClick={() => run(letGo(bag.rid))}>
            {t("shop.let_go")}
          </Button>
        </div>
      )}
    </article>
  );
}

function Line(props: { line: Article; currency: string; children: JSX.Element }): JSX.Element {
  const { line } = props;
  return (
    <li>
      <Picture src={line.image} name={line.title} class="bag-image" />
      <a href={`/p/${encodeURIComponent(line.handle)}`} dir="auto">
        {line.title}
        {line.label && <span class="muted">{line.label}</span>}
      </a>
      {props.children}
      <strong class="tabular">{sum(line.qty * line.unit_minor, props.currency)}</strong>
    </li>
  );
}

function Stepper({ line, most, onSet }: { line: Article; most: number; onSet: (qty: number) => void }): JSX.Element {
  const name = [line.title, line.label].filter(Boolean).join(" ");
  const last = line.qty === 1;
  return (
    <span class="stepper" role="group" aria-label={t("shop.how_many", { name })}>
      <IconButton icon={last ? "trash" : "minus"} label={t(last ? "shop.take_out" : "shop.less", { name })} onClick={() => onSet(line.qty - 1)} />
      <output class="tabular">{line.qty}</output>
      <IconButton icon="plus" label={t("shop.one_more", { name })} disabled={line.qty >= most} onClick={() => onSet(line.qty + 1)} />
    </span>
  );
}

function WhereForm({ bag }: { bag: Bag }): JSX.Element {
  const inShop = bag.place.kind === "shop";
  const [where, setWhere] = useState<Where>({
    delivery: inShop ? "pickup" : "ship",
    pickup_location_id: inShop ? bag.place.location_id : "",
    contact_name: "",
    contact: "",
    address: { line1: "", line2: "", postcode: "", city: "", country: "" },
  });
  const [counters, setCounters] = useState<Place[]>([]);
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState("");
  useEffect(() => {
    if (!inShop) api.get<{ locations: Place[] }>("/api/locations").then((found) => setCounters(found.locations), () => setCounters([]));
  }, [inShop]);
  const wrong = tried ? missing(where) : [];
  const submit = async (): Promise<void> => {
    setTried(true);
    const first = missing(where)[0];
    if (first) {
      document.getElementById(`field-${first}`)?.focus();
      return;
    }
    setBusy(true);
    try {
      await checkOut(bag, where);
    } catch (error) {
      setRefusal(words(error));
      setBusy(false);
    }
  };
  const address = (change: Partial<Where["address"]>): void => setWhere({ ...where, address: { ...where.address, ...change } });
  const text = (field: Field, value: string, autocomplete: string, onInput: (value: string) => void): JSX.Element => (
    <Text field={field} value={value} autocomplete={autocomplete} wrong={wrong} onInput={onInput} />
  );
  return (
    <form
      class="bag-form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      {inShop ? (
        <p>
          {t("shop.collect_at", { place: bag.place.name })} <span class="muted">{[bag.place.address, bag.place.city, bag.place.hours].filter(Boolean).join(" · ")}</span>
        </p>
      ) : (
        <label class="field">
          <span class="field-label">{t("shop.how")}</span>
          <select
            class="input"
            value={where.pickup_location_id}
            onChange={({ currentTarget: { value } }) => setWhere({ ...where, delivery: value ? "pickup" : "ship", pickup_location_id: value })}
          >
            <option value="">{t("shop.by_parcel")}</option>
            {counters.map((one) => (
              <option key={one.location_id} value={one.location_id}>
                {t("shop.collect_at", { place: [one.name, one.city].filter(Boolean).join(", ") })}
              </option>
            ))}
          </select>
        </label>
      )}
      {text("contact_name", where.contact_name, "name", (contact_name) => setWhere({ ...where, contact_name }))}
      {text("contact", where.contact, "email", (contact) => setWhere({ ...where, contact }))}
      {where.delivery === "ship" && (
        <>
          {text("line1", where.address.line1, "address-line1", (line1) => address({ line1 }))}
          {text("postcode", where.address.postcode, "postal-code", (postcode) => address({ postcode }))}
          {text("city", where.address.city, "address-level2", (city) => address({ city }))}
          {text("country", where.address.country, "country-name", (country) => address({ country }))}
        </>
      )}
      <p class="field-error" role="status">
        {refusal}
      </p>
      <Button type="submit" wide size="l" busy={busy}>
        {t("shop.to_payment")}
      </Button>
    </form>
  );
}

function Text(props: {
  field: Field;
  value: string;
  autocomplete: string;
  wrong: readonly Field[];
  onInput: (value: string) => void;
}): JSX.Element {
  const { field, value } = props;
  const bad = props.wrong.includes(field);
  return (
    <label class="field">
      <span class="field-label">{t(`shop.field_${field}`)}</span>
      <input
        id={`field-${field}`}
        class="input"
        name={field}
        value={value}
        maxLength={80}
        autocomplete={props.autocomplete as "name"}
        aria-invalid={bad || undefined}
        aria-describedby={bad ? `wrong-${field}` : undefined}
        onInput={(event) => props.onInput(event.currentTarget.value)}
      />
      {bad && (
        <span class="field-error" id={`wrong-${field}`}>
          {field === "contact" && value.trim() && !CONTACT.test(value.trim()) ? t("shop.contact_wrong") : t("shop.field_missing")}
        </span>
      )}
    </label>
  );
}

// --- orders and what waits -----------------------------------------------------------------------------------------

function Order({ page }: { page: OrderPage }): JSX.Element {
  const { order } = page;
  const [open, setOpen] = useState(false);
  const [refusal, setRefusal] = useState("");
  const run = (doing: Promise<void>): void => void doing.then(() => setRefusal(""), (error: unknown) => setRefusal(words(error)));
  return (
    <article class="bag order" aria-label={t("shop.order_number", { number: order.number })}>
      <header>
        <Icon name={order.status === "confirmed" ? "check" : "card"} size={22} />
        <h3>{t("shop.order_number", { number: order.number })}</h3>
        {order.status === "paying" && order.pay_by_ms !== null && (
          <p class="bag-clock">
            <Icon name="clock" size={17} /> {t("shop.pay_within")} <Countdown toMs={order.pay_by_ms} />
          </p>
        )}
      </header>
      {page.test_notice && <p class="muted">{page.test_notice}</p>}
      <p>{page.lines.map((line) => `${line.qty} × ${[line.title, line.label].filter(Boolean).join(" ")}`).join(", ")}</p>
      <p class="bag-sum tabular">
        <span>{t(`shop.order_${order.status}`)}</span> <strong>{sum(order.total_minor, order.currency)}</strong>
      </p>
      {order.pickup_code && page.counter && (
        <p>
          {t("shop.show_code", { place: page.counter.name })} <strong class="code">{order.pickup_code}</strong>
        </p>
      )}
      <p class="field-error" role="status">
        {refusal}
      </p>
      {order.status === "paying" && order.pay_url && (
        <>
          {open ? (
            <iframe class="bag-pay" src={order.pay_url} name="pay" title={t("shop.payment")} />
          ) : (
            <Button size="l" icon="lock" onClick={() => setOpen(true)}>
              {t("shop.pay", { amount: sum(order.total_minor, order.currency) })}
            </Button>
          )}
        </>
      )}
      {order.status === "declined" && <Button onClick={() => run(payAgain(order.order_id))}>{t("shop.pay_again")}</Button>}
      {(order.status === "paying" || order.status === "declined") && (
        <Button kind="quiet" onClick={() => run(cancelOrder(order.order_id))}>
          {t("shop.cancel_order")}
        </Button>
      )}
    </article>
  );
}

function Waiting({ one }: { one: TryOn }): JSX.Element {
  const [refusal, setRefusal] = useState("");
  return (
    <article class="bag" aria-label={one.article.title}>
      <p>
        <strong dir="auto">{[one.article.title, one.article.label].filter(Boolean).join(" · ")}</strong>{" "}
        {t("shop.try_waits", { place: one.place.name, when: dayAndTime(one.until_ms, formatLocale()) })}
      </p>
      <p>
        {t("shop.show_code", { place: one.place.name })} <strong class="code">{one.code}</strong>
      </p>
      <p class="field-error" role="status">
        {refusal}
      </p>
      <Button kind="quiet" onClick={() => void giveUp(one.try_on_id).catch((error: unknown) => setRefusal(words(error)))}>
        {t("shop.try_give_up")}
      </Button>
    </article>
  );
}
