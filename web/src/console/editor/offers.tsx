/** Offers at their moments: the rules as sentences, what came of each, and a form that says a new one. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Refusal } from "../../shared/api";
import { LOCALES, refusalText, t } from "../../shared/i18n";
import { Button, IconButton, toast } from "../../shared/ui";
import { atMoment, draftOf, formOf, isThing, KINDS, MOMENTS, nameOf, NEW_RULE, orderWith, sumOf, thingsOf, type Kind, type Moment, type RuleForm } from "../offers";
import { Complaint, Field, TwoStep } from "../parts";
import { addRule, changeRule, me, offersOf, orderRules, removeRule, type OfferRule, type OffersOfShow, type StaffCard } from "../server";

const LOOK_AGAIN_MS = 5000;

export function OffersPanel({ showId, cards }: { showId: string; cards: readonly StaffCard[] }): JSX.Element {
  const [offers, setOffers] = useState<OffersOfShow | null>(null);
  const [trouble, setTrouble] = useState("");
  const [saying, setSaying] = useState<{ form: RuleForm; ruleId: string } | null>(null);
  const [leads, setLeads] = useState(false);
  const load = (): Promise<void> => offersOf(showId).then(setOffers, (error: unknown) => setTrouble(said(error)));
  useEffect(() => {
    void load();
    void me().then(({ staff }) => setLeads(staff?.role === "admin" || staff?.role === "manager"), () => undefined);
    const timer = setInterval(() => void load(), LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [showId]);
  const change = async (what: Promise<unknown>): Promise<void> => {
    try {
      await what;
    } catch (error) {
      toast(said(error), "bad");
    }
    await load();
  };
  const rules = offers?.rules ?? [];
  /** Up or down by a button: keys and fingers reach it alike, and it says which rule it moves. */
  const mover = (rule: OfferRule, by: -1 | 1): JSX.Element => {
    const ids = orderWith(rules, rule.rule_id, by);
    return (
      <IconButton
        icon={by < 0 ? "up" : "down"}
        label={t(by < 0 ? "console.move_up" : "console.move_down", { name: sentenceOf(rule, cards) })}
        disabled={!ids}
        onClick={() => ids && void change(orderRules(showId, ids))}
      />
    );
  };
  return (
    <section class="panel offers" aria-labelledby="offers-title">
      <header class="panel-head">
        <h2 id="offers-title">{t("console.offers")}</h2>
        {!saying && (
          <Button icon="plus" kind="soft" onClick={() => setSaying({ form: NEW_RULE, ruleId: "" })}>
            {t("console.rule_add")}
          </Button>
        )}
      </header>
      <p class="muted">{t("console.offers_text")}</p>
      <Complaint text={trouble} />
      {saying && (
        <RuleEditor
          cards={cards}
          leads={leads}
          form={saying.form}
          onCancel={() => setSaying(null)}
          onSay={async (form) => {
            const draft = draftOf(form);
            if (typeof draft === "string") return t(draft);
            try {
              await (saying.ruleId ? changeRule(showId, saying.ruleId, draft) : addRule(showId, draft));
            } catch (error) {
              return said(error);
            }
            setSaying(null);
            await load();
            return "";
          }}
        />
      )}
      <ul class="rules">
        {rules.map((rule) => (
          <li key={rule.rule_id} class="rule">
            <div>
              <p class="rule-says">{sentenceOf(rule, cards)}</p>
              <p class="muted rule-facts">
                {offers && <Counted offers={offers} ruleId={rule.rule_id} />}
                {rule.at_most > 1 && <span>{t("console.rule_at_most_is", { count: rule.at_most })}</span>}
                {rule.everywhere && <span class="tag">{t("console.rule_everywhere_short")}</span>}
                {Object.values(rule.words)[0] && <q dir="auto">{Object.values(rule.words)[0]}</q>}
              </p>
            </div>
            {(leads || !rule.everywhere) && (
              <div class="rule-ways">
                {mover(rule, -1)}
                {mover(rule, 1)}
                <Button kind="quiet" onClick={() => setSaying({ form: formOf(rule), ruleId: rule.rule_id })}>
                  {t("console.edit")}
                </Button>
                <TwoStep
                  class="button-quiet button-small"
                  label={t("console.remove")}
                  sure={t("console.remove_sure")}
                  onSure={() => void change(removeRule(showId, rule.rule_id))}
                />
              </div>
            )}
          </li>
        ))}
        <li class="rule rule-house">
          <div>
            <p class="rule-says">{t("console.rule_house")}</p>
            <p class="muted rule-facts">{offers && <Counted offers={offers} ruleId="" />}</p>
          </div>
        </li>
      </ul>
    </section>
  );
}

function Counted({ offers, ruleId }: { offers: OffersOfShow; ruleId: string }): JSX.Element {
  const { shown, taken } = sumOf(offers.counts, ruleId);
  return <span class="tabular">{t("console.rule_counts", { shown, taken })}</span>;
}

interface EditorProps {
  cards: readonly StaffCard[];
  leads: boolean;
  form: RuleForm;
  onSay: (form: RuleForm) => Promise<string>;
  onCancel: () => void;
}

function RuleEditor({ cards, leads, form: first, onSay, onCancel }: EditorProps): JSX.Element {
  const [form, setForm] = useState(first);
  const [complaint, setComplaint] = useState("");
  const [busy, setBusy] = useState(false);
  const change = (part: Partial<RuleForm>): void => setForm({ ...form, ...part });
  const things = thingsOf(cards, form.everywhere);
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setComplaint(await onSay(form));
    setBusy(false);
  };
  return (
    <form class="rule-form" onSubmit={(event) => void save(event)} noValidate>
      <div class="rule-line">
        <Field label={t("console.rule_of")}>
          <select class="input" value={form.of} onChange={(event) => change({ of: event.currentTarget.value })}>
            <option value="any">{t("console.of_any")}</option>
            {things.map((thing) => (
              <option key={thing.value} value={thing.value}>
                {t(`console.thing_${thing.kind}`, { name: thing.name })}
              </option>
            ))}
            <option value="tag">{t("console.thing_tag_choose")}</option>
          </select>
        </Field>
        {form.of === "tag" && <Tag value={form.ofTag} onInput={(ofTag) => change({ ofTag })} />}
        <Field label={t("console.rule_when")}>
          <select class="input" value={form.moment} onChange={(event) => setForm(atMoment(form, event.currentTarget.value as Moment))}>
            {MOMENTS.map((moment) => (
              <option key={moment} value={moment}>
                {t(`console.moment_${moment}`)}
              </option>
            ))}
          </select>
        </Field>
      </div>
      <div class="rule-line">
        <Field label={t("console.rule_offer")}>
          <select class="input" value={form.offer} onChange={(event) => change({ offer: event.currentTarget.value })}>
            {KINDS[form.moment]
              .filter((kind) => !isThing(kind))
              .map((kind) => (
                <option key={kind} value={kind}>
                  {t(giveKey(form.moment, kind))}
                </option>
              ))}
            {things.map((thing) => (
              <option key={thing.value} value={thing.value}>
                {t(`console.thing_${thing.kind}`, { name: thing.name })}
              </option>
            ))}
            <option value="tag">{t("console.thing_tag_choose")}</option>
          </select>
        </Field>
        {form.offer === "tag" && <Tag value={form.offerTag} onInput={(offerTag) => change({ offerTag })} />}
        <Field label={t("console.rule_at_most")}>
          <input class="input rule-number" inputMode="numeric" value={form.atMost} onInput={(event) => change({ atMost: event.currentTarget.value })} />
        </Field>
      </div>
      <details open={Object.values(form.words).some(Boolean)}>
        <summary>{t("console.rule_words")}</summary>
        {LOCALES.map((locale) => (
          <Field key={locale} label={t(`console.words_${locale}`)}>
            <input
              class="input"
              lang={locale}
              maxLength={160}
              value={form.words[locale] ?? ""}
              onInput={(event) => change({ words: { ...form.words, [locale]: event.currentTarget.value } })}
            />
          </Field>
        ))}
      </details>
      {leads && (
        <label class="tick">
          <input type="checkbox" checked={form.everywhere} onChange={(event) => change({ everywhere: event.currentTarget.checked })} />
          {t("console.rule_everywhere")}
        </label>
      )}
      <Complaint text={complaint} />
      <div class="row">
        <Button type="submit" busy={busy}>
          {t("console.save")}
        </Button>
        <Button kind="quiet" onClick={onCancel}>
          {t("console.cancel")}
        </Button>
      </div>
    </form>
  );
}

function Tag({ value, onInput }: { value: string; onInput: (value: string) => void }): JSX.Element {
  return (
    <Field label={t("console.rule_tag")}>
      <input class="input" maxLength={80} value={value} onInput={(event) => onInput(event.currentTarget.value)} />
    </Field>
  );
}

/** Near the closing what is left is left of the thing itself. */
const giveKey = (moment: Moment, kind: Kind): string =>
  moment === "closing_soon" && kind === "most_left" ? "console.give_left_of_it" : `console.give_${kind}`;

/** "When anything is given back, offer a cheaper one." */
export function sentenceOf(rule: OfferRule, cards: readonly StaffCard[]): string {
  const name = (kind: string, value: string): string =>
    kind === "tag" ? t("console.thing_tag", { name: value }) : t("console.thing_named", { name: nameOf(cards, kind, value) });
  const of = rule.of_kind === "any" ? t("console.of_any") : name(rule.of_kind, rule.of_value);
  const what = rule.offer_value ? name(rule.offer_kind, rule.offer_value) : t(giveKey(rule.moment, rule.offer_kind));
  return t(`console.rule_${rule.moment}`, { of, what });
}

function said(error: unknown): string {
  return error instanceof Refusal ? refusalText(error) : String(error);
}
