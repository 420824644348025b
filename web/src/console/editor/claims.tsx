/** Claims by comment: on or off for this show, with which words, and whether such lines stand in the chat. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Refusal } from "../../shared/api";
import { refusalText, t } from "../../shared/i18n";
import type { ClaimRules } from "../../shared/protocol";
import { Button, toast } from "../../shared/ui";
import { keywordsOf } from "../offers";
import { Complaint, Field } from "../parts";
import { changeClaims, type StaffCard } from "../server";

interface Props {
  showId: string;
  rules: ClaimRules;
  cards: readonly StaffCard[];
  onSaved: () => Promise<void>;
}

export function ClaimsPanel({ showId, rules, cards, onSaved }: Props): JSX.Element {
  const [on, setOn] = useState(rules.on);
  const [keywords, setKeywords] = useState(rules.keywords.join(", "));
  const [shown, setShown] = useState(rules.lines_shown);
  const [complaint, setComplaint] = useState("");
  const [busy, setBusy] = useState(false);
  const words = keywordsOf(keywords);
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (on && words.length === 0) {
      setComplaint(t("console.claims_words_missing"));
      return;
    }
    setBusy(true);
    setComplaint("");
    try {
      await changeClaims(showId, { on, keywords: words, lines_shown: shown });
      toast(t("console.saved"), "good");
      await onSaved();
    } catch (error) {
      setComplaint(error instanceof Refusal ? refusalText(error) : String(error));
    } finally {
      setBusy(false);
    }
  };
  const card = cards.find((one) => one.deals.length > 0);
  const example = `${words[0] ?? "SOLD"} ${card?.code || "AA"}${card?.deals[0]?.label ? ` ${card.deals[0].label}` : ""} 2`;
  return (
    <section class="panel claims-panel" aria-labelledby="claims-title">
      <h2 id="claims-title">{t("console.claims")}</h2>
      <p class="muted">{t("console.claims_text")}</p>
      <form onSubmit={(event) => void save(event)} noValidate>
        <label class="tick">
          <input type="checkbox" role="switch" checked={on} onChange={(event) => setOn(event.currentTarget.checked)} />
          {t("console.claims_on")}
        </label>
        {on && (
          <>
            <Field label={t("console.claims_words")} help={t("console.claims_example", { line: example })}>
              <input class="input" maxLength={200} value={keywords} onInput={(event) => setKeywords(event.currentTarget.value)} />
            </Field>
            <label class="tick">
              <input type="checkbox" checked={shown} onChange={(event) => setShown(event.currentTarget.checked)} />
              {t("console.claims_lines_shown")}
            </label>
          </>
        )}
        <Complaint text={complaint} />
        <Button type="submit" kind="soft" busy={busy}>
          {t("console.save")}
        </Button>
      </form>
    </section>
  );
}
