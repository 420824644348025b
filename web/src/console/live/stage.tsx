/** The centre: what viewers see, the card that stands on it with its stock, and the one big button. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { formatLocale, t } from "../../shared/i18n";
import { money } from "../../shared/money";
import type { CardFacts } from "../../shared/protocol";
import { clockText, dayAndTime, nowMs } from "../../shared/time";
import type { Desk } from "../desk";
import { checksOf } from "../checklist";
import { Picture } from "../../shared/ui";
import { Code } from "../parts";
import { currency, ticketListAt, ticketListsOf } from "../server";
import { CaptionFiles } from "./captions";
import { Meter } from "./meter";
import { PictureBefore, Preview } from "./preview";

const TICKETS_EVERY_MS = 10_000;

export function StagePane({ desk }: { desk: Desk }): JSX.Element {
  const status = desk.status.value;
  return (
    <section class="desk-stage" aria-label={t("console.stage")}>
      {status === "draft" || status === "scheduled" ? (
        <Before desk={desk} />
      ) : status === "ended" || status === "cancelled" ? (
        <After desk={desk} />
      ) : (
        <During desk={desk} />
      )}
    </section>
  );
}

function During({ desk }: { desk: Desk }): JSX.Element {
  return (
    <div class="stage-live">
      <Preview desk={desk} />
      <div class="stage-now">
        <NowCard desk={desk} />
        <TopQuestions desk={desk} />
      </div>
      <NextButton desk={desk} />
    </div>
  );
}

function NowCard({ desk }: { desk: Desk }): JSX.Element {
  const card = desk.now.value;
  if (!card)
    return (
      <div class="now now-free">
        <p class="now-word">{t("console.now")}</p>
        <p class="muted">{t("console.picture_free")}</p>
      </div>
    );
  return (
    <article class="now" aria-labelledby="now-title">
      <p class="now-word">{t("console.now")}</p>
      <div class="now-head">
        <Picture src={card.image} name={card.title} class="picture-m" />
        <div>
          <h2 id="now-title">
            {card.title} {desk.show.value?.show.claims.on && <Code card={card} />}
          </h2>
          {card.line && <p class="now-line">{card.line}</p>}
          {card.bundle_minor !== null && (
            <p class="now-price tabular">{money(card.bundle_minor, currency.value, formatLocale())}</p>
          )}
        </div>
      </div>
      <Promises texts={desk.room.value.promises[card.card_id] ?? []} />
      <ul class="meters">
        {card.deals.map((deal) => (
          <Meter key={deal.deal_id} deal={deal} numbers={desk.numbers(deal)} currency={currency.value} />
        ))}
      </ul>
      {card.notes && <p class="now-notes">{card.notes}</p>}
    </article>
  );
}

function Promises({ texts }: { texts: readonly string[] }): JSX.Element | null {
  if (!texts.length) return null;
  return (
    <p class="now-promises">
      <strong>{t("console.promised")}</strong> {texts.join(" · ")}
    </p>
  );
}

/** The three questions worth answering now, readable at arm's length. */
function TopQuestions({ desk }: { desk: Desk }): JSX.Element | null {
  const questions = desk.queue.value.slice(0, 3);
  if (!questions.length) return null;
  return (
    <section class="top-questions" aria-label={t("console.questions")}>
      <h3>{t("console.questions")}</h3>
      <ul>
        {questions.map((question) => (
          <li key={question.question_id} class={question.status === "answering" ? "answering" : ""}>
            <p dir="auto">{question.text}</p>
            <button
              type="button"
              class="button button-quiet button-small"
              onClick={() => void desk.command({ do: "answer_question", question_id: question.question_id })}
            >
              {t("console.answered")}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function NextButton({ desk }: { desk: Desk }): JSX.Element {
  const next = desk.next.value;
  return (
    <button
      type="button"
      class="next"
      disabled={!next || desk.busy.value === "show_card"}
      onClick={() => void desk.showCard(next)}
      aria-keyshortcuts="Space ArrowRight"
    >
      {next ? (
        <>
          <Picture src={next.image} name={next.title} class="picture-m" />
          <span class="next-words">
            <span class="next-word">
              {t("console.next")} <span aria-hidden="true">▶</span>
            </span>
            <span class="next-title">{next.title}</span>
            <span class="next-price tabular">{pricesOf(next)}</span>
          </span>
          <kbd aria-hidden="true">{t("console.space")}</kbd>
        </>
      ) : (
        <span class="next-words">
          <span class="next-title">{t("console.next_none")}</span>
        </span>
      )}
    </button>
  );
}

function pricesOf(card: CardFacts): string {
  const prices = card.bundle_minor !== null ? [card.bundle_minor] : card.deals.map((deal) => deal.price_minor);
  if (!prices.length) return t("console.kind_product");
  const units = card.deals.reduce((sum, deal) => sum + deal.quota, 0);
  return `${money(Math.min(...prices), currency.value, formatLocale())} · ${t("console.units", { count: units })}`;
}

// --- before and after -----------------------------------------------------------------------------------------------

function Before({ desk }: { desk: Desk }): JSX.Element {
  const { show } = desk.show.value!;
  const [going, setGoing] = useState(false);
  const checks = checksOf(desk.cards.value, show.video.kind !== "none", !!show.title.trim());
  const missing = checks.filter((check) => check.state === "missing").length;
  const starts = show.scheduled_at_ms;
  const go = async (): Promise<void> => {
    setGoing(true);
    await desk.command({ do: "go_live" });
    setGoing(false);
  };
  return (
    <div class="stage-before">
      <p class="now-word">{t("console.before")}</p>
      <h2>{show.title}</h2>
      {starts !== null && (
        <p class="before-when">
          {dayAndTime(starts, formatLocale())}
          {starts > nowMs.value && (
            <span class="muted tabular"> · {t("console.starts_in", { clock: clockText(starts - nowMs.value) })}</span>
          )}
        </p>
      )}
      <ul class="checks">
        {checks.map((check) => (
          <li key={check.says} class={`check check-${check.state}`}>
            <span class="check-mark" aria-hidden="true">
              {check.state === "good" ? "✓" : check.state === "look" ? "!" : "✕"}
            </span>
            <span class="sr-only">{t(`console.check_is_${check.state}`)}</span>
            {t(check.says, check.params)}
          </li>
        ))}
      </ul>
      <PictureBefore desk={desk} />
      <button type="button" class="go-live" disabled={going} onClick={() => void go()}>
        <span class="go-dot" aria-hidden="true" />
        {t("console.go_live")}
      </button>
      <p class="muted before-hint">
        {missing ? t("console.go_live_missing", { count: missing }) : t("console.go_live_ready")}
      </p>
    </div>
  );
}

function After({ desk }: { desk: Desk }): JSX.Element {
  const [listed, setListed] = useState<ReadonlySet<string>>(new Set());
  useEffect(() => {
    // A list appears a few seconds after nobody holds or pays any more.
    const look = (): void => {
      ticketListsOf(desk.showId).then(
        ({ lists }) => setListed(new Set(lists.map((one) => one.deal_id))),
        () => undefined,
      );
    };
    look();
    const timer = setInterval(look, TICKETS_EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  const totals = desk.totals.value;
  const orders = (totals?.orders_confirmed ?? 0) + (totals?.test_orders ?? 0);
  const deals = desk.cards.value.flatMap((card) => card.deals.map((deal) => ({ card, deal, n: desk.numbers(deal) })));
  const sold = deals.reduce((sum, { n }) => sum + n.sold, 0);
  return (
    <div class="stage-after">
      <p class="now-word">{t(`console.status_${desk.status.value}`)}</p>
      <h2>{t("console.after_title")}</h2>
      <dl class="figures">
        <div>
          <dt>{t("console.after_orders")}</dt>
          <dd class="tabular">{orders}</dd>
        </div>
        <div>
          <dt>{t("console.after_taken")}</dt>
          <dd class="tabular">{money(totals?.revenue_minor ?? 0, currency.value, formatLocale())}</dd>
        </div>
        {!!totals?.test_orders && (
          <div>
            <dt>{t("console.after_test", { count: totals.test_orders })}</dt>
            <dd class="tabular">{money(totals.test_minor, currency.value, formatLocale())}</dd>
          </div>
        )}
        <div>
          <dt>{t("console.after_sold")}</dt>
          <dd class="tabular">{sold}</dd>
        </div>
      </dl>
      <table class="after-table">
        <caption class="sr-only">{t("console.after_table")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("console.deal")}</th>
            <th scope="col">{t("console.sold")}</th>
            <th scope="col">{t("console.paying")}</th>
            <th scope="col">{t("console.of")}</th>
          </tr>
        </thead>
        <tbody>
          {deals.map(({ card, deal, n }) => (
            <tr key={deal.deal_id}>
              <th scope="row">
                {deal.label ? `${card.title}, ${deal.label}` : card.title}
                {listed.has(deal.deal_id) && (
                  <a class="after-list" href={ticketListAt(desk.showId, deal.deal_id)} download>
                    {t("console.ticket_list")}
                  </a>
                )}
              </th>
              <td class="tabular">{n.sold}</td>
              <td class="tabular">{n.paying}</td>
              <td class="tabular">{deal.quota}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <CaptionFiles showId={desk.showId} />
    </div>
  );
}
