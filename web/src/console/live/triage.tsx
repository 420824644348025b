/** What a moderator has to decide: a few items at a time, nobody else's, each with all its copies; and the host's inbox. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { count, formatLocale, refusalText, t } from "../../shared/i18n";
import type { PrivateQuestion } from "../../shared/protocol";
import { timeOfDay } from "../../shared/time";
import { Avatar, EmptyState, Icon } from "../../shared/ui";
import type { Desk } from "../desk";
import { Complaint } from "../parts";
import type { TriageItem } from "../server";
import { ReasonChips } from "./moderation";

const SHOWN_TEXTS = 4;
const TIMEOUT_MINUTES = 10;

export function Triage({ desk }: { desk: Desk }): JSX.Element {
  useEffect(() => {
    void desk.deciding.begin();
    return () => void desk.deciding.end();
  }, [desk]);
  const hand = desk.deciding.items.value;
  const trouble = desk.deciding.trouble.value;
  const { waiting, in_hand } = desk.deciding.count.value;
  const others = Math.max(0, in_hand - hand.length);
  return (
    <>
      <p class="triage-head" role="status">
        <strong class="tabular">{hand.length > 0 ? t("mod.mine", { count: hand.length }) : t("mod.waiting", { count: waiting })}</strong>
        {hand.length > 0 && waiting > 0 && <span class="tabular">{t("mod.waiting", { count: waiting })}</span>}
        {others > 0 && <span>{t("mod.others", { count: others })}</span>}
      </p>
      {trouble && hand.length > 0 && <Complaint text={refusalText(trouble)} />}
      {trouble && hand.length === 0 ? (
        <EmptyState icon="alert" title={t("mod.trouble")}>
          <p>
            {refusalText(trouble)} {t("mod.trouble_text")}
          </p>
          <button type="button" class="button button-quiet triage-again" onClick={() => void desk.deciding.take()}>
            {t("mod.trouble_again")}
          </button>
        </EmptyState>
      ) : hand.length === 0 ? (
        <EmptyState icon="shield" title={t(waiting > 0 ? "mod.soon" : "mod.nothing")}>
          <p>{t(waiting > 0 ? "mod.soon_text" : "mod.nothing_text")}</p>
        </EmptyState>
      ) : (
        <ul class="scroll cards-list triage">
          {hand.map((item) => (
            <li key={item.id} class={`triage-item triage-${item.kind}`}>
              {item.kind === "held" ? <HeldItem item={item} desk={desk} /> : <QuestionItem item={item} desk={desk} />}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function namesOf(item: TriageItem): string {
  const names = [...new Set(item.lines.map((line) => line[2]))];
  const rest = Math.max(names.length, item.count) - 2;
  if (rest <= 0) return names.slice(0, 2).join(", ");
  return t("mod.names", { names: names.slice(0, 2).join(", "), count: rest });
}

function why(item: TriageItem): string {
  return item.why === "copies" ? t("mod.why_copies") : item.why === "judge" ? t("mod.why_judge") : item.why;
}

/** An item keeps so many lines and counts the rest: the button says how many it reaches. */
function hideLabel(item: TriageItem): string {
  const kept = item.lines.length;
  if (kept < item.count) return t("mod.hide_some", { count: kept, all: item.count });
  return item.count > 1 ? t("mod.hide_all", { count: item.count }) : t("mod.hide");
}

function HeldItem({ item, desk }: { item: TriageItem; desk: Desk }): JSX.Element {
  const [reason, setReason] = useState("");
  const [harder, setHarder] = useState(false);
  const texts = [...new Set(item.lines.map((line) => line[3]))];
  const shown = item.lines.filter((line) => line[4]).length;
  const hide = (further: { mute_minutes?: number; ban?: boolean } = {}): void =>
    void desk.settle(item, { act: "hide", reason, ...further });
  return (
    <>
      <div class="triage-top">
        {item.count > 1 && <span class="triage-count tabular">×{count(item.count)}</span>}
        <span class="triage-why">{why(item)}</span>
        <Skip item={item} desk={desk} />
      </div>
      <p class="triage-text" dir="auto">
        {texts[0]}
      </p>
      {texts.length > 1 && (
        <details class="triage-variants">
          <summary>{t("mod.variants", { count: texts.length - 1 })}</summary>
          <ul>
            {texts.slice(1, 1 + SHOWN_TEXTS).map((text) => (
              <li key={text} dir="auto">
                {text}
              </li>
            ))}
          </ul>
        </details>
      )}
      <p class="triage-names">
        <Icon name={item.count > 1 ? "users" : "user"} size={15} /> <span dir="auto">{namesOf(item)}</span>
        {shown > 0 && <span class="triage-shown">{t("mod.shown", { count: shown })}</span>}
      </p>
      <ReasonChips value={reason} onChange={setReason} />
      <div class="row triage-acts">
        <button type="button" class="button button-primary button-small" onClick={() => hide()}>
          {hideLabel(item)}
        </button>
        <button type="button" class="button button-soft button-small" onClick={() => void desk.settle(item, { act: "let_through", reason })}>
          {t("mod.let_through")}
        </button>
        <button type="button" class="button button-quiet button-small" aria-expanded={harder} onClick={() => setHarder(!harder)}>
          {t("mod.and")}
        </button>
      </div>
      {harder && (
        <div class="row triage-acts">
          <button type="button" class="button button-quiet button-small" onClick={() => hide({ mute_minutes: TIMEOUT_MINUTES })}>
            {t("mod.hide_mute", { minutes: TIMEOUT_MINUTES })}
          </button>
          <button type="button" class="button button-danger button-small" onClick={() => hide({ ban: true })}>
            {t("mod.hide_ban")}
          </button>
        </div>
      )}
    </>
  );
}

function QuestionItem({ item, desk }: { item: TriageItem; desk: Desk }): JSX.Element {
  const [text, setText] = useState("");
  const answer = (privately: boolean): void => void desk.settle(item, { act: "answer", text: text.trim(), privately });
  return (
    <>
      <div class="triage-top">
        <span class="triage-count triage-count-question tabular">{count(item.count)}</span>
        <span class="triage-why">{item.title ? t("mod.about", { title: item.title }) : t("mod.about_show")}</span>
        <Skip item={item} desk={desk} />
      </div>
      <ul class="triage-questions">
        {item.lines.slice(0, SHOWN_TEXTS).map((line) => (
          <li key={line[0]}>
            <span class="line-name" dir="auto">
              {line[2]}
            </span>
            <span dir="auto">{line[3]}</span>
          </li>
        ))}
      </ul>
      {item.count > SHOWN_TEXTS && <p class="muted triage-more">{t("mod.more_questions", { count: item.count - SHOWN_TEXTS })}</p>}
      <label class="sr-only" for={`item-${item.id}`}>
        {t("mod.one_answer")}
      </label>
      <textarea
        id={`item-${item.id}`}
        class="input"
        rows={2}
        maxLength={500}
        value={text}
        placeholder={t("mod.one_answer")}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <div class="row triage-acts">
        <button type="button" class="button button-primary button-small" disabled={!text.trim()} onClick={() => answer(false)}>
          {t("mod.answer_all")}
        </button>
        <button type="button" class="button button-quiet button-small" disabled={!text.trim()} onClick={() => answer(true)}>
          {t("mod.answer_each")}
        </button>
        <button type="button" class="button button-quiet button-small" onClick={() => void desk.settle(item, { act: "hide" })}>
          {t("mod.drop")}
        </button>
      </div>
    </>
  );
}

function Skip({ item, desk }: { item: TriageItem; desk: Desk }): JSX.Element {
  return (
    <button type="button" class="triage-skip" onClick={() => void desk.skip(item)}>
      {t("mod.skip")}
    </button>
  );
}

// --- the host's inbox -------------------------------------------------------------------------------------------------

export function PrivateAsked({ question, desk }: { question: PrivateQuestion; desk: Desk }): JSX.Element {
  const [text, setText] = useState("");
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (text.trim() && (await desk.answerPrivately(question, text.trim()))) setText("");
  };
  return (
    <li class={`question private ${question.answer ? "done" : ""}`}>
      <div class="question-head">
        <Avatar name={question.name} size={28} />
        <span class="line-name">{question.name}</span>
        <time class="votes tabular">{timeOfDay(question.at_ms, formatLocale())}</time>
      </div>
      <p class="question-text" dir="auto">
        {question.text}
      </p>
      {question.answer ? (
        <p class="muted private-answered" dir="auto">
          <Icon name="check" size={15} /> {question.answer}
        </p>
      ) : (
        <form class="private-form" onSubmit={(event) => void send(event)}>
          <label class="sr-only" for={`private-${question.question_id}`}>
            {t("mod.private_answer", { name: question.name })}
          </label>
          <textarea
            id={`private-${question.question_id}`}
            class="input"
            rows={2}
            maxLength={500}
            value={text}
            placeholder={t("mod.private_answer", { name: question.name })}
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <button type="submit" class="button button-primary button-small" disabled={!text.trim()}>
            {t("mod.send")}
          </button>
        </form>
      )}
    </li>
  );
}
