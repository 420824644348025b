/** The right column: chat, the question queue, held lines, pins and orders, each with actions of one tap. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Signal } from "@preact/signals";
import { formatLocale, t } from "../../shared/i18n";
import { money } from "../../shared/money";
import type { Line, Question } from "../../shared/protocol";
import { timeOfDay } from "../../shared/time";
import { Avatar, EmptyState, Icon, IconButton } from "../../shared/ui";
import type { Desk } from "../desk";
import type { OrderRow } from "../server";
import { CaptionDesk } from "./captions";
import { LineSheet, ModerationHead } from "./moderation";
import { PrivateAsked, Triage } from "./triage";

export type PeopleTab = "chat" | "questions" | "triage" | "pinned" | "captions" | "orders";
const TABS: readonly PeopleTab[] = ["chat", "questions", "triage", "pinned", "captions", "orders"];
const MUTE_MINUTES = 10;

interface Props {
  desk: Desk;
  tab: Signal<PeopleTab>;
  selected: Signal<string>;
}

export function PeoplePane({ desk, tab, selected }: Props): JSX.Element {
  const counts: Record<PeopleTab, number> = {
    chat: 0,
    questions: desk.queue.value.length + desk.unanswered.value,
    triage: desk.deciding.count.value.waiting + desk.deciding.items.value.length,
    pinned: desk.room.value.pinned.length,
    captions: 0,
    orders: desk.orders.value.length,
  };
  const turned = (event: KeyboardEvent): void => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const next = TABS[(TABS.indexOf(tab.value) + by + TABS.length) % TABS.length]!;
    tab.value = next;
    document.getElementById(`people-tab-${next}`)?.focus();
  };
  return (
    <section class="desk-people pane" aria-label={t("console.people")}>
      <div class="tabs" role="tablist" aria-label={t("console.people")} onKeyDown={turned}>
        {TABS.map((one) => (
          <button
            key={one}
            type="button"
            role="tab"
            id={`people-tab-${one}`}
            aria-selected={tab.value === one}
            aria-controls="people-panel"
            tabIndex={tab.value === one ? 0 : -1}
            onClick={() => (tab.value = one)}
          >
            {t(one === "triage" ? "mod.tab" : one === "captions" ? "caption.tab" : `console.tab_${one}`)}
            {counts[one] > 0 && <span class={`count-badge ${one === "triage" ? "hot" : ""}`}>{counts[one]}</span>}
          </button>
        ))}
      </div>
      <div class="people-panel" role="tabpanel" id="people-panel" aria-labelledby={`people-tab-${tab.value}`}>
        {tab.value === "chat" && <Chat desk={desk} selected={selected} />}
        {tab.value === "questions" && <Questions desk={desk} />}
        {tab.value === "triage" && <Triage desk={desk} />}
        {tab.value === "pinned" && <Pinned desk={desk} />}
        {tab.value === "captions" && <CaptionDesk desk={desk} />}
        {tab.value === "orders" && <Orders orders={desk.orders.value} />}
      </div>
    </section>
  );
}

// --- chat -----------------------------------------------------------------------------------------------------------

function Chat({ desk, selected }: { desk: Desk; selected: Signal<string> }): JSX.Element {
  const lines = desk.room.value.talk;
  const list = useRef<HTMLUListElement>(null);
  const [following, setFollowing] = useState(true);
  useLayoutEffect(() => {
    if (following && list.current) list.current.scrollTop = list.current.scrollHeight;
  }, [lines, following]);
  const scrolled = (): void => {
    const box = list.current;
    if (box) setFollowing(box.scrollHeight - box.scrollTop - box.clientHeight < 60);
  };
  return (
    <>
      <ModerationHead desk={desk} />
      {desk.room.value.shed > 0 && <p class="shed">{t("console.shed", { count: Math.round(desk.room.value.shed) })}</p>}
      {lines.length === 0 ? (
        <EmptyState icon="chat" title={t("console.chat_empty")}>
          <p>{t("console.chat_empty_text")}</p>
        </EmptyState>
      ) : (
        <ul class="lines" ref={list} onScroll={scrolled} tabIndex={0} aria-label={t("console.tab_chat")}>
          {lines.map((line) => (
            <ChatLine
              key={line.line_id}
              line={line}
              isSelected={selected.value === line.line_id}
              onSelect={() => (selected.value = selected.value === line.line_id ? "" : line.line_id)}
              desk={desk}
            />
          ))}
        </ul>
      )}
      {!following && (
        <button type="button" class="to-newest" onClick={() => setFollowing(true)}>
          {t("console.to_newest")}
        </button>
      )}
      <SayAsHost desk={desk} />
    </>
  );
}

function ChatLine(props: { line: Line; isSelected: boolean; onSelect: () => void; desk: Desk }): JSX.Element {
  const { line, desk } = props;
  const [acting, setActing] = useState(false);
  return (
    <li class={`chat-line role-${line.role} kind-${line.kind} ${props.isSelected ? "selected" : ""}`}>
      <Words line={line} onSelect={props.onSelect} selected={props.isSelected} />
      <span class="line-actions">
        <IconButton
          icon="pin"
          label={t("console.pin")}
          onClick={() => void desk.command({ do: "pin_line", line_id: line.line_id })}
        />
        {line.role === "viewer" && (
          <IconButton
            icon="muted"
            label={t("console.mute", { minutes: MUTE_MINUTES })}
            onClick={() => void desk.mute(line, MUTE_MINUTES)}
          />
        )}
        <IconButton
          icon="trash"
          label={t("console.hide_line")}
          onClick={() => void desk.hideLine(line)}
        />
        {line.role === "viewer" && <IconButton icon="more" label={t("mod.more")} onClick={() => setActing(true)} />}
      </span>
      {acting && <LineSheet desk={desk} line={line} onClose={() => setActing(false)} />}
    </li>
  );
}

function Words({ line, onSelect, selected }: { line: Line; onSelect?: () => void; selected?: boolean }): JSX.Element {
  const words = (
    <>
      <span class="line-name">
        {line.name}
        {line.role !== "viewer" && <span class="line-tag">{t(`console.role_${line.role}`)}</span>}
        {line.kind === "question" && <span class="line-tag line-tag-question">{t("console.question")}</span>}
        {line.simulated && <span class="line-tag line-tag-sim">{t("simulated")}</span>}
      </span>
      <span class="line-text" dir="auto">
        {line.text}
      </span>
    </>
  );
  return onSelect ? (
    <button type="button" class="line-words" aria-pressed={selected} onClick={onSelect}>
      {words}
    </button>
  ) : (
    <span class="line-words">{words}</span>
  );
}

function SayAsHost({ desk }: { desk: Desk }): JSX.Element {
  const [text, setText] = useState("");
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    const said = text.trim();
    if (!said) return;
    setText("");
    // What she has typed since then stays, behind what was not said.
    if (!(await desk.command({ do: "announce", text: said }))) setText((typed) => [said, typed].filter(Boolean).join(" "));
  };
  return (
    <form class="say" onSubmit={(event) => void send(event)}>
      <label class="sr-only" for="say-as-host">
        {t("console.say_as_host")}
      </label>
      <input
        id="say-as-host"
        class="input"
        maxLength={500}
        autocomplete="off"
        placeholder={t("console.say_as_host")}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
      />
      <IconButton icon="send" label={t("console.send")} type="submit" />
    </form>
  );
}

// --- questions ------------------------------------------------------------------------------------------------------

function Questions({ desk }: { desk: Desk }): JSX.Element {
  const queue = desk.queue.value;
  const privates = desk.inbox.value;
  const answered = desk.room.value.questions.filter((question) => question.status === "answered");
  if (!queue.length && !privates.length && !answered.length)
    return (
      <EmptyState icon="question" title={t("console.questions_empty")}>
        <p>{t("console.questions_empty_text")}</p>
      </EmptyState>
    );
  return (
    <div class="scroll">
      {privates.length > 0 && (
        <Group title={t("console.private_questions")}>
          {[...privates].sort((a, b) => Number(!!a.answer) - Number(!!b.answer) || a.at_ms - b.at_ms).map((one) => (
            <PrivateAsked key={one.question_id} question={one} desk={desk} />
          ))}
        </Group>
      )}
      {queue.length > 0 && (
        <Group title={t("console.queue")}>
          {queue.map((question) => (
            <QueuedQuestion key={question.question_id} question={question} desk={desk} />
          ))}
        </Group>
      )}
      {answered.length > 0 && (
        <Group title={t("console.answered_list")}>
          {answered.map((question) => (
            <li key={question.question_id} class="question done">
              <p dir="auto">{question.text}</p>
              {question.answer && (
                <p class="muted" dir="auto">
                  {question.answer}
                </p>
              )}
            </li>
          ))}
        </Group>
      )}
    </div>
  );
}

function Group({ title, children }: { title: string; children: ComponentChildren }): JSX.Element {
  return (
    <section class="group">
      <h3>{title}</h3>
      <ul>{children}</ul>
    </section>
  );
}

function QueuedQuestion({ question, desk }: { question: Question; desk: Desk }): JSX.Element {
  const [writing, setWriting] = useState(false);
  const [text, setText] = useState("");
  const answer = async (privately: boolean): Promise<void> => {
    const done = await desk.command({
      do: "answer_question",
      question_id: question.question_id,
      text: text.trim(),
      privately,
    });
    if (done) setWriting(false);
  };
  const answering = question.status === "answering";
  return (
    <li class={`question ${answering ? "answering" : ""}`}>
      <div class="question-head">
        <Avatar name={question.name} size={28} />
        <span class="line-name">{question.name}</span>
        <span class="votes tabular">{t("console.votes", { count: question.votes })}</span>
      </div>
      <p class="question-text" dir="auto">
        {question.text}
      </p>
      {writing ? (
        <div class="answer">
          <label class="sr-only" for={`answer-${question.question_id}`}>
            {t("console.answer")}
          </label>
          <textarea
            id={`answer-${question.question_id}`}
            class="input"
            rows={2}
            maxLength={500}
            value={text}
            placeholder={t("console.answer_placeholder")}
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <div class="row">
            <button
              type="button"
              class="button button-primary button-small"
              disabled={!text.trim()}
              onClick={() => void answer(false)}
            >
              {t("console.answer_all")}
            </button>
            <button
              type="button"
              class="button button-quiet button-small"
              disabled={!text.trim()}
              onClick={() => void answer(true)}
            >
              {t("console.answer_privately")}
            </button>
            <button type="button" class="button button-quiet button-small" onClick={() => setWriting(false)}>
              {t("cancel")}
            </button>
          </div>
        </div>
      ) : (
        <div class="row">
          {!answering && (
            <button
              type="button"
              class="button button-soft button-small"
              onClick={() => void desk.command({ do: "take_question", question_id: question.question_id })}
            >
              {t("console.take")}
            </button>
          )}
          <button type="button" class="button button-quiet button-small" onClick={() => setWriting(true)}>
            {t("console.answer")}
          </button>
          <button
            type="button"
            class="button button-quiet button-small"
            onClick={() => void desk.command({ do: "answer_question", question_id: question.question_id })}
          >
            {t("console.answered")}
          </button>
        </div>
      )}
    </li>
  );
}

// --- pinned ---------------------------------------------------------------------------------------------------------

function Pinned({ desk }: { desk: Desk }): JSX.Element {
  const pinned = desk.room.value.pinned;
  if (!pinned.length)
    return (
      <EmptyState icon="pin" title={t("console.pinned_empty")}>
        <p>{t("console.pinned_empty_text")}</p>
      </EmptyState>
    );
  return (
    <ul class="scroll cards-list">
      {pinned.map((line) => (
        <li key={line.line_id} class="held">
          <Words line={line} />
          <div class="row">
            <button
              type="button"
              class="button button-quiet button-small"
              onClick={() => void desk.command({ do: "unpin_line", line_id: line.line_id })}
            >
              {t("console.unpin")}
            </button>
          </div>
        </li>
      ))}
    </ul>
  );
}

// --- orders ---------------------------------------------------------------------------------------------------------

function Orders({ orders }: { orders: readonly OrderRow[] }): JSX.Element {
  const [fresh, setFresh] = useState<ReadonlySet<string>>(new Set());
  const known = useRef<ReadonlySet<string>>(new Set(orders.map(({ order }) => order.order_id)));
  useEffect(() => {
    const ids = orders.map(({ order }) => order.order_id);
    setFresh(new Set(ids.filter((id) => !known.current.has(id))));
    known.current = new Set(ids);
  }, [orders]);
  if (!orders.length)
    return (
      <EmptyState icon="bag" title={t("console.orders_empty")}>
        <p>{t("console.orders_empty_text")}</p>
      </EmptyState>
    );
  return (
    <ul class="scroll orders">
      {orders.map((row) => (
        <OrderLine key={row.order.order_id} row={row} fresh={fresh.has(row.order.order_id)} />
      ))}
    </ul>
  );
}

function OrderLine({ row, fresh }: { row: OrderRow; fresh: boolean }): JSX.Element {
  const { order } = row;
  const what = row.lines.map((line) => `${line.qty > 1 ? `${line.qty} × ` : ""}${line.label || line.title}`).join(", ");
  const where = row.delivery === "pickup" ? row.counter_name || t("console.order_pickup") : t("console.order_ship");
  return (
    <li class={`order order-${order.status} ${fresh ? "fresh" : ""}`}>
      <span class="order-number tabular">
        {order.number}
        {row.test && <span class="test-mark">{t("console.test")}</span>}
      </span>
      <span class="order-sum tabular">{money(order.total_minor, order.currency, formatLocale())}</span>
      <span class="order-what" dir="auto">
        {[row.contact_name, what].filter(Boolean).join(" · ")}
      </span>
      <span class="order-status">{t(`console.order_${order.status}`)}</span>
      <span class="order-where">
        <Icon name={row.delivery === "pickup" ? "shop" : "parcel"} size={15} /> {where}
      </span>
      <time class="order-time tabular">{timeOfDay(row.paid_at_ms ?? row.created_at_ms, formatLocale())}</time>
    </li>
  );
}
