/** Puts a basket together: find an article, tap it in, say for whom and how long it is kept once she opens it. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Refusal } from "../../shared/api";
import { formatLocale, refusalText, t } from "../../shared/i18n";
import { money } from "../../shared/money";
import { Button } from "../../shared/ui";
import { Complaint, Field } from "../parts";
import { currency, findProducts, type StaffProduct } from "../server";
import { makeBasket } from "./server";

interface Line {
  variant_id: string;
  name: string;
  price_minor: number;
  qty: number;
}

const HOURS = [1, 2, 4, 8, 24];

export function BasketMaker(props: { place: string; minutesMost: number; onMade: () => void; onBack: () => void }): JSX.Element {
  const [query, setQuery] = useState("");
  const [found, setFound] = useState<readonly StaffProduct[]>([]);
  const [lines, setLines] = useState<readonly Line[]>([]);
  const [customer, setCustomer] = useState("");
  const [note, setNote] = useState("");
  const [hours, setHours] = useState(2);
  const [busy, setBusy] = useState(false);
  const [complaint, setComplaint] = useState("");
  const say = (error: unknown): void => setComplaint(error instanceof Refusal ? refusalText(error) : String(error));
  const find = (): void => void findProducts(query).then(({ products }) => setFound(products), say);
  const add = (line: Omit<Line, "qty">): void => {
    const had = lines.find((one) => one.variant_id === line.variant_id);
    setLines(had ? lines.map((one) => (one === had ? { ...one, qty: one.qty + 1 } : one)) : [...lines, { ...line, qty: 1 }]);
  };
  const make = async (): Promise<void> => {
    setBusy(true);
    try {
      const wanted = lines.map(({ variant_id, qty }) => ({ variant_id, qty }));
      await makeBasket({ location_id: props.place, lines: wanted, customer, note, hold_minutes: hours * 60 });
      props.onMade();
    } catch (error) {
      say(error);
      setBusy(false);
    }
  };
  return (
    <div class="counter-maker">
      <form
        class="counter-acts"
        onSubmit={(event) => {
          event.preventDefault();
          find();
        }}
      >
        <Field label={t("console.basket_find")}>
          <input class="input" value={query} onInput={(event) => setQuery(event.currentTarget.value)} />
        </Field>
        <Button type="submit" kind="soft">
          {t("console.basket_search")}
        </Button>
      </form>
      <ul>
        {found.flatMap((product) =>
          product.variants.map((variant) => (
            <li key={variant.variant_id} class="counter-row counter-found">
              <span dir="auto">{[product.title, variant.label].filter(Boolean).join(" · ")}</span>
              <Button
                kind="quiet"
                onClick={() => add({ variant_id: variant.variant_id, name: [product.title, variant.label].filter(Boolean).join(" · "), price_minor: variant.price_minor })}
              >
                {t("console.basket_add")}
              </Button>
            </li>
          )),
        )}
      </ul>
      <ul>
        {lines.map((line) => (
          <li key={line.variant_id} class="counter-row counter-found">
            <span dir="auto">
              {line.qty} × {line.name} <span class="tabular">{money(line.qty * line.price_minor, currency.value, formatLocale())}</span>
            </span>
            <Button kind="quiet" onClick={() => setLines(lines.filter((one) => one !== line))}>
              {t("console.basket_out")}
            </Button>
          </li>
        ))}
      </ul>
      <Field label={t("console.basket_for")}>
        <input class="input" value={customer} maxLength={120} onInput={(event) => setCustomer(event.currentTarget.value)} />
      </Field>
      <Field label={t("console.basket_note")}>
        <input class="input" value={note} maxLength={500} onInput={(event) => setNote(event.currentTarget.value)} />
      </Field>
      <Field label={t("console.basket_hours")}>
        <select class="input" value={hours} onChange={(event) => setHours(Number(event.currentTarget.value))}>
          {HOURS.filter((one) => one * 60 <= props.minutesMost).map((one) => (
            <option key={one} value={one}>
              {t("console.basket_hours_count", { count: one })}
            </option>
          ))}
        </select>
      </Field>
      <Complaint text={complaint} />
      <div class="counter-acts">
        <Button busy={busy} disabled={lines.length === 0} onClick={() => void make()}>
          {t("console.basket_make")}
        </Button>
        <Button kind="quiet" onClick={props.onBack}>
          {t("back")}
        </Button>
      </div>
    </div>
  );
}
