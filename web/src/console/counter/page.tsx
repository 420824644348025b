/** The counter: what waits here to be tried and what became of it, and baskets that an advisor puts together. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Refusal } from "../../shared/api";
import { formatLocale, refusalText, t } from "../../shared/i18n";
import { money } from "../../shared/money";
import { dayAndTime } from "../../shared/time";
import { Button, EmptyState } from "../../shared/ui";
import { Complaint, Field, TwoStep } from "../parts";
import { currency, locationsOf, me, type Location, type Staff } from "../server";
import { Masthead } from "../shows/page";
import { BasketMaker } from "./basket";
import { ownBaskets, tellTryOn, tryOnsAt, withdrawBasket, type StaffBasket, type TryOn } from "./server";

const LOOK_AGAIN_MS = 15_000;

const words = (error: unknown): string => (error instanceof Refusal ? refusalText(error) : String(error));

export function CounterPage(): JSX.Element {
  const [staff, setStaff] = useState<Staff | null>(null);
  const [places, setPlaces] = useState<readonly Location[]>([]);
  const [place, setPlace] = useState("");
  const [complaint, setComplaint] = useState("");
  useEffect(() => {
    Promise.all([me(), locationsOf()]).then(
      ([who, { locations }]) => {
        setStaff(who.staff);
        setPlaces(locations);
        setPlace((locations.find((one) => one.kind === "shop") ?? locations[0])?.location_id ?? "");
      },
      (error: unknown) => setComplaint(words(error)),
    );
  }, []);
  return (
    <div class="console">
      <Masthead staff={staff} />
      <div class="console-head">
        <div>
          <h1>{t("console.counter")}</h1>
          <p class="muted">{t("console.counter_text")}</p>
        </div>
        <Field label={t("console.counter_place")}>
          <select class="input" value={place} onChange={(event) => setPlace(event.currentTarget.value)}>
            {places.map((one) => (
              <option key={one.location_id} value={one.location_id}>
                {one.name}
              </option>
            ))}
          </select>
        </Field>
      </div>
      <Complaint text={complaint} />
      {place && <ToTry place={place} key={place} />}
      {place && <Baskets place={place} />}
    </div>
  );
}

function ToTry({ place }: { place: string }): JSX.Element {
  const [all, setAll] = useState<readonly TryOn[] | null>(null);
  const [complaint, setComplaint] = useState("");
  const load = (): Promise<void> => tryOnsAt(place).then(({ try_ons }) => (setAll(try_ons), setComplaint("")), (error: unknown) => setComplaint(words(error)));
  useEffect(() => {
    void load();
    const timer = setInterval(() => void load(), LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, []);
  const told = (doing: Promise<unknown>): void => void doing.then(load, (error: unknown) => setComplaint(words(error)));
  return (
    <section class="panel counter" aria-labelledby="try-head">
      <h2 id="try-head">{t("console.try_title")}</h2>
      <Complaint text={complaint} />
      {all !== null && all.length === 0 && (
        <EmptyState icon="clock" title={t("console.try_empty")}>
          <p>{t("console.try_empty_text")}</p>
        </EmptyState>
      )}
      <ul>
        {all?.map((one) => (
          <li key={one.try_on_id} class="counter-row">
            <p>
              <strong class="tabular">{one.code}</strong> <span dir="auto">{one.name}</span>
            </p>
            <p dir="auto">{[one.article.title, one.article.label].filter(Boolean).join(" · ")}</p>
            {one.state === "kept" ? (
              <>
                <p class="muted">{t("console.try_until", { when: dayAndTime(one.until_ms, formatLocale()) })}</p>
                <Outcome one={one} onTold={told} />
              </>
            ) : (
              <p class="muted">{t(`console.try_${one.state}`)}</p>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Outcome({ one, onTold }: { one: TryOn; onTold: (doing: Promise<unknown>) => void }): JSX.Element {
  const [buying, setBuying] = useState(false);
  const [receipt, setReceipt] = useState("");
  if (buying)
    return (
      <form
        class="counter-acts"
        onSubmit={(event) => {
          event.preventDefault();
          onTold(tellTryOn(one.code, "bought", receipt.trim()));
        }}
      >
        <Field label={t("console.try_receipt")}>
          <input class="input" value={receipt} maxLength={80} required onInput={(event) => setReceipt(event.currentTarget.value)} />
        </Field>
        <Button type="submit">{t("console.try_sold")}</Button>
        <Button kind="quiet" onClick={() => setBuying(false)}>
          {t("back")}
        </Button>
      </form>
    );
  return (
    <div class="counter-acts">
      <Button onClick={() => setBuying(true)}>{t("console.try_buys")}</Button>
      <TwoStep label={t("console.try_came")} sure={t("console.sure")} onSure={() => onTold(tellTryOn(one.code, "came"))} />
      <TwoStep label={t("console.try_missed")} sure={t("console.sure")} onSure={() => onTold(tellTryOn(one.code, "missed"))} />
    </div>
  );
}

function Baskets({ place }: { place: string }): JSX.Element {
  const [all, setAll] = useState<readonly StaffBasket[] | null>(null);
  const [most, setMost] = useState(1440);
  const [making, setMaking] = useState(false);
  const [complaint, setComplaint] = useState("");
  const load = (): Promise<void> =>
    ownBaskets().then(
      (told) => {
        setAll(told.baskets);
        setMost(told.hold_minutes_most);
      },
      (error: unknown) => setComplaint(words(error)),
    );
  useEffect(() => void load(), []);
  return (
    <section class="panel counter" aria-labelledby="basket-head">
      <h2 id="basket-head">{t("console.baskets")}</h2>
      <p class="muted">{t("console.baskets_text")}</p>
      <Complaint text={complaint} />
      {making ? (
        <BasketMaker
          place={place}
          minutesMost={most}
          onMade={() => {
            setMaking(false);
            void load();
          }}
          onBack={() => setMaking(false)}
        />
      ) : (
        <Button icon="plus" onClick={() => setMaking(true)}>
          {t("console.basket_new")}
        </Button>
      )}
      <ul>
        {all?.map((one) => (
          <li key={one.basket_id} class="counter-row">
            <p>
              <strong dir="auto">{one.basket.customer || t("console.basket_nobody")}</strong>{" "}
              <span class="muted">{t(`console.basket_${stateOf(one)}`)}</span>
            </p>
            <p dir="auto">
              {one.basket.lines.map((line) => `${line.qty} × ${[line.title, line.label].filter(Boolean).join(" ")}`).join(", ")}{" "}
              <span class="tabular">{money(one.basket.subtotal_minor, currency.value, formatLocale())}</span>
            </p>
            {stateOf(one) === "open" && (
              <div class="counter-acts">
                <img class="counter-qr" src={qrImage(one.qr_svg)} alt={t("console.basket_qr")} />
                <input class="input" readOnly value={one.url} aria-label={t("console.basket_link")} onFocus={(event) => event.currentTarget.select()} />
                <TwoStep
                  label={t("console.basket_withdraw")}
                  sure={t("console.sure")}
                  onSure={() => void withdrawBasket(one.basket_id).then(load, (error: unknown) => setComplaint(words(error)))}
                />
              </div>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

export function stateOf(one: Pick<StaffBasket, "taken" | "order_status" | "basket">): "open" | "taken" | "paid" | "gone" {
  if (one.order_status === "confirmed") return "paid";
  if (one.taken) return "taken";
  return one.basket.state === "open" ? "open" : "gone";
}

/** A QR code of the server as a picture: its markup never becomes part of the page. */
function qrImage(svg: string): string {
  const whole = svg.includes("xmlns=") ? svg : svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ');
  return `data:image/svg+xml,${encodeURIComponent(whole)}`;
}
