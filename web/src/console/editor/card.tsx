/** Putting a card together: find a product, choose shades, set prices and units. It asks the server only to search. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Refusal } from "../../shared/api";
import { formatLocale, refusalText, t } from "../../shared/i18n";
import { money } from "../../shared/money";
import { Button, Picture } from "../../shared/ui";
import { Complaint, Field } from "../parts";
import {
  currency,
  findProducts,
  freeUnits,
  locationsOf,
  type CardDraft,
  type Location,
  type StaffProduct,
  type StaffVariant,
} from "../server";
import { cardOf, NOTHING_TYPED, rowOf, type Fairness, type Kind, type Row, type Typed } from "./draft";

const KINDS: readonly Kind[] = ["deal", "bundle", "product"];
const FAIRNESS: readonly Fairness[] = ["first_come", "draw"];
const SEARCH_AFTER_MS = 200;
const FOUND_SHOWN = 8;

interface Props {
  /** True where the corner hides products until its launch instant. */
  launches: boolean;
  onAdd: (card: CardDraft) => Promise<void>;
}

export function CardComposer({ launches, onAdd }: Props): JSX.Element {
  const [typed, setTyped] = useState<Typed>(NOTHING_TYPED);
  const [complaint, setComplaint] = useState("");
  const [busy, setBusy] = useState(false);
  const [locations, setLocations] = useState<readonly Location[]>([]);
  useEffect(() => {
    locationsOf().then(
      ({ locations }) => {
        setLocations(locations);
        const first = locations.find((one) => one.is_default) ?? locations[0];
        if (first) setTyped((before) => ({ ...before, locationId: first.location_id }));
      },
      () => setComplaint(t("refusal.0")),
    );
  }, []);
  const change = (part: Partial<Typed>): void => setTyped((before) => ({ ...before, ...part }));

  const choose = (product: StaffProduct): void => {
    // What this stock does not have is not ticked; the row is there, to be ticked once units have come.
    const there = sellable(product).filter((variant) => freeUnits(variant, typed.locationId) > 0);
    const rows = there.map((variant) => rowOf(variant, currency.value, typed.locationId));
    if (typed.kind === "bundle") {
      // A bundle collects variants of several products; each product brings its first shade, which can be changed.
      const first = rows[0];
      change({ product: typed.product ?? product, rows: first ? [...typed.rows, first] : typed.rows });
    } else change({ product, rows, title: product.title });
  };

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const card = cardOf(typed, currency.value);
    if ("says" in card) {
      setComplaint(t(card.says, card.params));
      document.getElementById(card.field)?.focus();
      return;
    }
    setBusy(true);
    setComplaint("");
    try {
      await onAdd(card);
    } catch (error) {
      setComplaint(error instanceof Refusal ? complaintOf(error) : String(error));
    } finally {
      setBusy(false);
    }
  };

  return (
    <form class="card-form" onSubmit={(event) => void submit(event)} noValidate>
      <fieldset class="choice-row">
        <legend class="labelled-name">{t("console.card_kind")}</legend>
        {KINDS.map((kind) => (
          <label key={kind} class={`chip ${typed.kind === kind ? "chosen" : ""}`}>
            <input
              type="radio"
              name="kind"
              class="sr-only"
              checked={typed.kind === kind}
              onChange={() => change({ kind, rows: [], product: null })}
            />
            {t(`console.kind_${kind}`)}
          </label>
        ))}
        <p class="labelled-help">{t(`console.kind_${typed.kind}_is`)}</p>
      </fieldset>
      {(!typed.product || typed.kind === "bundle") && <Search onChoose={choose} locationId={typed.locationId} />}
      {typed.product && (
        <>
          {typed.kind !== "bundle" && (
            <div class="chosen-product">
              <Picture src={typed.product.image} name={typed.product.title} class="picture-m" />
              <strong>{typed.product.title}</strong>
              <Button kind="quiet" onClick={() => change({ product: null, rows: [] })}>
                {t("console.another_product")}
              </Button>
            </div>
          )}
          <Field label={t("console.card_title")}>
            <input
              class="input"
              maxLength={120}
              value={typed.title}
              placeholder={typed.product.title}
              onInput={(event) => change({ title: event.currentTarget.value })}
            />
          </Field>
          {typed.kind !== "product" && (
            <Rows
              product={typed.kind === "deal" ? typed.product : null}
              rows={typed.rows}
              locationId={typed.locationId}
              onRows={(rows) => change({ rows })}
            />
          )}
          {typed.kind !== "product" && (
            <Field label={t("console.from_stock")}>
              <select
                class="input"
                value={typed.locationId}
                onChange={(event) => change({ locationId: event.currentTarget.value })}
              >
                {locations.map((one) => (
                  <option key={one.location_id} value={one.location_id}>
                    {one.name}
                  </option>
                ))}
              </select>
            </Field>
          )}
          {typed.kind !== "product" && (
            <div class="triple">
              <Field label={t("console.limit")}>
                <input
                  id="card-limit"
                  class="input"
                  inputMode="numeric"
                  value={typed.limit}
                  onInput={(event) => change({ limit: event.currentTarget.value })}
                />
              </Field>
              <Field label={t("console.hold_minutes")}>
                <input
                  id="card-hold"
                  class="input"
                  inputMode="numeric"
                  value={typed.holdMinutes}
                  onInput={(event) => change({ holdMinutes: event.currentTarget.value })}
                />
              </Field>
              <Field label={t("console.pay_minutes")}>
                <input
                  id="card-pay"
                  class="input"
                  inputMode="numeric"
                  value={typed.payMinutes}
                  onInput={(event) => change({ payMinutes: event.currentTarget.value })}
                />
              </Field>
            </div>
          )}
          {typed.kind === "deal" && <FairnessFields typed={typed} onChange={change} />}
          {typed.kind !== "product" && <MoreRules typed={typed} change={change} />}
          {launches && (
            <label class="tick">
              <input
                type="checkbox"
                checked={typed.hidden}
                onChange={(event) => change({ hidden: event.currentTarget.checked })}
              />
              {t("console.hidden_until_launch")}
            </label>
          )}
          <Field label={t("console.card_line")} help={t("console.card_line_help")}>
            <input
              class="input"
              maxLength={140}
              value={typed.line}
              onInput={(event) => change({ line: event.currentTarget.value })}
            />
          </Field>
          <Field label={t("console.card_notes")} help={t("console.card_notes_help")}>
            <textarea
              class="input"
              rows={2}
              maxLength={2000}
              value={typed.notes}
              onInput={(event) => change({ notes: event.currentTarget.value })}
            />
          </Field>
        </>
      )}
      <Complaint text={complaint} />
      <Button type="submit" size="l" wide busy={busy} disabled={!typed.product}>
        {t("console.add_card")}
      </Button>
    </form>
  );
}

/** What this server cannot keep is said in words of the form, not of the API. */
function complaintOf(refusal: Refusal): string {
  if (refusal.facts["field"] === "level") return t("console.wrong_level");
  return refusal.facts["field"] === "limit_by" ? t("console.wrong_limit_by") : refusalText(refusal);
}

const LIMIT_BY = ["guest", "verified", "member"] as const;
const LEVELS = ["soft", "fsync", "ledger"] as const;

/** Rules that most deals leave as they are. */
function MoreRules({ typed, change }: { typed: Typed; change: (part: Partial<Typed>) => void }): JSX.Element {
  return (
    <details class="more-rules">
      <summary>{t("console.more_rules")}</summary>
      <fieldset class="choice-row">
        <legend class="labelled-name">{t("console.limit_by")}</legend>
        {LIMIT_BY.map((one) => (
          <label key={one} class={`chip ${typed.limitBy === one ? "chosen" : ""}`}>
            <input
              type="radio"
              name="limit-by"
              class="sr-only"
              checked={typed.limitBy === one}
              onChange={() => change({ limitBy: one })}
            />
            {t(`console.limit_by_${one}`)}
          </label>
        ))}
        <p class="labelled-help">{t(`console.limit_by_${typed.limitBy}_is`)}</p>
      </fieldset>
      <div class="pair">
        <Field label={t("console.address_cap")} help={t("console.address_cap_help")}>
          <input
            id="card-address-cap"
            class="input"
            inputMode="numeric"
            placeholder={t("console.no_cap")}
            value={typed.addressCap}
            onInput={(event) => change({ addressCap: event.currentTarget.value })}
          />
        </Field>
        <Field label={t("console.held_times")} help={t("console.held_times_help")}>
          <input
            id="card-held-times"
            class="input"
            inputMode="numeric"
            placeholder={t("console.no_cap")}
            value={typed.heldTimes}
            onInput={(event) => change({ heldTimes: event.currentTarget.value })}
          />
        </Field>
      </div>
      <label class="tick">
        <input
          type="checkbox"
          checked={typed.headWaits}
          onChange={(event) => change({ headWaits: event.currentTarget.checked })}
        />
        {t("console.head_waits")}
      </label>
      <Field label={t("console.level")} help={t(`console.level_${typed.level}_is`)}>
        <select
          id="card-level"
          class="input"
          value={typed.level}
          onChange={(event) => change({ level: event.currentTarget.value as Typed["level"] })}
        >
          {LEVELS.map((one) => (
            <option key={one} value={one}>
              {t(`console.level_${one}`)}
            </option>
          ))}
        </select>
      </Field>
    </details>
  );
}

/** Who is served: whoever comes first, or whom the draw names. */
function FairnessFields({ typed, onChange }: { typed: Typed; onChange: (part: Partial<Typed>) => void }): JSX.Element {
  return (
    <fieldset class="choice-row">
      <legend class="labelled-name">{t("console.fairness")}</legend>
      {FAIRNESS.map((fairness) => (
        <label key={fairness} class={`chip ${typed.fairness === fairness ? "chosen" : ""}`}>
          <input
            type="radio"
            name="fairness"
            class="sr-only"
            checked={typed.fairness === fairness}
            onChange={() => onChange({ fairness })}
          />
          {t(`console.fairness_${fairness}`)}
        </label>
      ))}
      <p class="labelled-help">{t(`console.fairness_${typed.fairness}_is`)}</p>
      {typed.fairness === "draw" && (
        <Field label={t("console.draw_seconds")}>
          <input
            id="card-window"
            class="input"
            inputMode="numeric"
            value={typed.drawSeconds}
            onInput={(event) => onChange({ drawSeconds: event.currentTarget.value })}
          />
        </Field>
      )}
    </fieldset>
  );
}

function sellable(product: StaffProduct): StaffVariant[] {
  return product.variants.filter((variant) => !variant.retired);
}

function Search({
  onChoose,
  locationId,
}: {
  onChoose: (product: StaffProduct) => void;
  locationId: string;
}): JSX.Element {
  const [query, setQuery] = useState("");
  const [found, setFound] = useState<readonly StaffProduct[] | null>(null);
  useEffect(() => {
    let wanted = true;
    const timer = setTimeout(() => {
      findProducts(query.trim()).then(
        (answer) => wanted && setFound(answer.products.slice(0, FOUND_SHOWN)),
        () => wanted && setFound([]),
      );
    }, SEARCH_AFTER_MS);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [query]);
  return (
    <div class="search">
      <Field label={t("console.find_product")}>
        <input
          id="card-search"
          class="input"
          type="search"
          autocomplete="off"
          placeholder={t("console.find_product_example")}
          value={query}
          onInput={(event) => setQuery(event.currentTarget.value)}
          onKeyDown={(event) => event.key === "Enter" && event.preventDefault()}
        />
      </Field>
      <p class="sr-only" role="status">
        {found ? t("console.found", { count: found.length }) : ""}
      </p>
      {found?.length === 0 && <p class="muted">{t("console.found_none")}</p>}
      <ul class="search-found">
        {found?.map((product) => (
          <li key={product.product_id}>
            <button type="button" onClick={() => onChoose(product)}>
              <Picture src={product.image} name={product.title} class="picture-s" />
              <span>
                <strong>{product.title}</strong>
                <span class="muted">
                  {[product.type, t("console.shades", { count: sellable(product).length })].filter(Boolean).join(" · ")}
                </span>
              </span>
              <span class="tabular muted">
                {t("console.free", {
                  count: sellable(product).reduce((sum, variant) => sum + freeUnits(variant, locationId), 0),
                })}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** A row for each shade: ticked ones are sold on this card. A bundle's rows come from several products. */
interface RowsProps {
  product: StaffProduct | null;
  rows: readonly Row[];
  locationId: string;
  onRows: (rows: Row[]) => void;
}

function Rows({ product, rows, locationId, onRows }: RowsProps): JSX.Element {
  const all = product
    ? sellable(product).map(
        (variant) => rows.find((row) => row.variant === variant) ?? rowOf(variant, currency.value, locationId),
      )
    : [...rows];
  const chosen = new Set(rows.map((row) => row.variant.variant_id));
  const edit = (id: string, part: Partial<Row>): void =>
    onRows(rows.map((row) => (row.variant.variant_id === id ? { ...row, ...part } : row)));
  const tick = (row: Row): void =>
    onRows(
      chosen.has(row.variant.variant_id)
        ? rows.filter((one) => one.variant.variant_id !== row.variant.variant_id)
        : all.filter((one) => one === row || chosen.has(one.variant.variant_id)),
    );
  return (
    <fieldset class="variant-rows" id="card-variants" tabIndex={-1}>
      <legend class="labelled-name">{t("console.on_this_card")}</legend>
      <div class="variant-row variant-head" aria-hidden="true">
        <span>{t("console.shade")}</span>
        <span>{t("console.price")}</span>
        <span>{t("console.was")}</span>
        <span>{t("console.quota")}</span>
      </div>
      {all.map((row) => {
        const { variant_id: id, label, title, swatch } = row.variant;
        const on = chosen.has(id);
        const name = product ? label || title : `${title}${label ? `, ${label}` : ""}`;
        const free = freeUnits(row.variant, locationId);
        return (
          <div key={id} class={`variant-row ${on ? "" : "off"}`}>
            <label class="tick">
              <input type="checkbox" checked={on} onChange={() => tick(row)} />
              {swatch && <span class="shade-dot" style={{ background: swatch }} aria-hidden="true" />}
              <span>
                {name}
                <span class="muted variant-free tabular">
                  {t("console.free", { count: free })} · {money(row.variant.price_minor, currency.value, formatLocale())}
                </span>
              </span>
            </label>
            {(["price", "was", "quota"] as const).map((part) => (
              <input
                key={part}
                id={`${part}-${id}`}
                class="input tabular"
                inputMode={part === "quota" ? "numeric" : "decimal"}
                aria-label={`${t(`console.${part}`)}, ${name}`}
                disabled={!on}
                value={row[part]}
                onInput={(event) => edit(id, { [part]: event.currentTarget.value })}
              />
            ))}
          </div>
        );
      })}
    </fieldset>
  );
}
