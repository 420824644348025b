/** The talk of the room: a few lines over the picture, all of it in a sheet or, on a desk, in a column of its own. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { t } from "../shared/i18n";
import type { Line, Question } from "../shared/protocol";
import { Avatar, EmptyState, Icon, IconButton } from "../shared/ui";
import { ClaimAnswers, PrivateTalk } from "./later";
import { forgetOwn, line, ownLines, privateNews, room, say, sayAgain, tab, vote, votedFor, type OwnLine } from "./room";

const PEEK_LINES = 5;

/** The last lines over the picture. They are shown, not read aloud: the digest speaks. */
export function ChatPeek({ onOpen }: { onOpen: () => void }) {
  const own = ownLines.value.filter((one) => one.state !== "held_back" && one.kind !== "private");
  const lines = useFrame(room.value.talk).slice(-PEEK_LINES);
  const shown = [...lines.map((one) => ({ line: one, own: null })), ...own.map((one) => ({ line: null, own: one }))].slice(-PEEK_LINES);
  // In a quiet room there is nothing over the picture to tap on: then the button itself is seen.
  return (
    <div class="peek on-video" onClick={onOpen}>
      <button type="button" class={shown.length ? "sr-only" : "peek-open"} onClick={onOpen}>
        <Icon name="chat" size={17} /> {t("chat.open")}
      </button>
      <ul aria-hidden="true">
        {shown.map(({ line: one, own: mine }) =>
          one ? <PeekLine key={one.line_id} line={one} /> : mine && <PeekOwn key={mine.cid} own={mine} />,
        )}
      </ul>
    </div>
  );
}

function PeekLine({ line: one }: { line: Line }) {
  return (
    <li class={`peek-line role-${one.role}`}>
      <Name line={one} /> <span dir="auto">{one.text}</span>
    </li>
  );
}

function PeekOwn({ own }: { own: OwnLine }) {
  return (
    <li class={`peek-line is-own is-${own.state}`}>
      <b>{t("chat.you")}</b> <span dir="auto">{own.text}</span>
    </li>
  );
}

function Name({ line: one }: { line: Line }) {
  return (
    <>
      <b dir="auto">{one.name}</b>
      {one.role !== "viewer" && <span class="tag tag-host">{t(`role.${one.role}`)}</span>}
      {one.kind === "question" && <span class="tag">{t("chat.asks")}</span>}
      {one.simulated && <span class="tag tag-sim">{t("simulated")}</span>}
    </>
  );
}

/** Many lines may come in one frame of the screen; they are drawn once. */
function useFrame<T>(value: T): T {
  const [drawn, setDrawn] = useState(value);
  useEffect(() => {
    if (value === drawn) return;
    const frame = requestAnimationFrame(() => setDrawn(value));
    return () => cancelAnimationFrame(frame);
  }, [value, drawn]);
  return drawn;
}

const TABS = ["chat", "questions", "private"] as const;

/** The whole talk, its questions, and a place to write. */
export function ChatPanel({ onClose }: { onClose?: () => void }) {
  const questions = room.value.questions.length;
  return (
    <section class="chat" aria-label={t("chat.title")}>
      <div class="chat-tabs" role="tablist">
        {TABS.map((one) => (
          <button
            key={one}
            type="button"
            role="tab"
            id={`tab-${one}`}
            aria-selected={tab.value === one}
            aria-controls="chat-panel"
            onClick={() => (tab.value = one)}
          >
            {t(`${one}.title`)}
            {one === "questions" && questions > 0 && <span class="tag tabular">{questions}</span>}
            {one === "private" && privateNews.value && <span class="news-dot" role="img" aria-label={t("private.news")} />}
          </button>
        ))}
        {onClose && <IconButton icon="down" label={t("close")} onClick={onClose} />}
      </div>
      <Pinned />
      <div class="chat-panel" id="chat-panel" role="tabpanel" aria-labelledby={`tab-${tab.value}`}>
        {tab.value === "chat" ? <Lines /> : tab.value === "questions" ? <Questions /> : <PrivateTalk />}
      </div>
      {tab.value === "chat" && <ClaimAnswers />}
      {room.value.shed > 0 && tab.value === "chat" && (
        <p class="chat-shed tabular">{t("chat.shed", { count: Math.round(room.value.shed) })}</p>
      )}
      <Composer />
    </section>
  );
}

export function Pinned() {
  const pinned = room.value.pinned.at(-1);
  if (!pinned) return null;
  return (
    <div class="pinned">
      <Icon name="pin" size={16} />
      <p dir="auto">
        <b>{pinned.name}</b> {pinned.text}
      </p>
    </div>
  );
}

const NEAR_THE_END_PX = 80;

function Lines() {
  const list = useRef<HTMLDivElement>(null);
  const follow = useRef(true);
  const [behind, setBehind] = useState(false);
  const talk = useFrame(room.value.talk);
  const own = ownLines.value.filter((one) => one.kind !== "private");
  const gap = room.value.talkGap;
  useLayoutEffect(() => {
    const box = list.current;
    if (!box) return;
    if (follow.current) box.scrollTop = box.scrollHeight;
    else setBehind(true);
  }, [talk, own]);
  const toEnd = (): void => {
    follow.current = true;
    setBehind(false);
    if (list.current) list.current.scrollTop = list.current.scrollHeight;
  };
  if (talk.length === 0 && own.length === 0) return <EmptyState icon="chat" title={t("chat.empty")}>{t("chat.empty_text")}</EmptyState>;
  return (
    <>
      <div
        ref={list}
        class="lines"
        role="log"
        aria-live="off"
        aria-label={t("chat.title")}
        tabIndex={0}
        onScroll={({ currentTarget: box }) => {
          follow.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_THE_END_PX;
          if (follow.current) setBehind(false);
        }}
      >
        <ul>
          {gap !== null && !talk.some((one) => one.line_id === gap) && <Gap />}
          {talk.map((one) => [
            <li key={one.line_id} class={`line role-${one.role} kind-${one.kind}`}>
              <Avatar name={one.name} size={28} />
              <p>
                <span class="line-name">
                  <Name line={one} />
                </span>
                <span class="line-text" dir="auto">
                  {one.text}
                </span>
              </p>
            </li>,
            one.line_id === gap && <Gap key="gap" />,
          ])}
          {own.map((one) => (
            <OwnRow key={one.cid} own={one} />
          ))}
        </ul>
      </div>
      {behind && (
        <button type="button" class="to-end" onClick={toEnd}>
          <Icon name="down" size={16} /> {t("chat.newest")}
        </button>
      )}
    </>
  );
}

/** Some lines came and went while her line was away; she is told where. */
function Gap() {
  return <li class="talk-gap">{t("chat.missed")}</li>;
}

export function OwnRow({ own }: { own: OwnLine }) {
  return (
    <li class={`line is-own is-${own.state}`}>
      <Avatar name={room.value.you?.name ?? "·"} size={28} />
      <div>
        <span class="line-name">
          <b>{t("chat.you")}</b>
        </span>
        <span class="line-text" dir="auto">
          {own.text}
        </span>
        {own.state !== "sending" && (
          <span class="line-why" role="status">
            {own.why}{" "}
            {own.state === "failed" && own.again !== false && (
              <button type="button" class="text-button" onClick={() => sayAgain(own)}>
                {t("chat.again")}
              </button>
            )}{" "}
            <button type="button" class="text-button" onClick={() => forgetOwn(own.cid)}>
              {t("chat.forget")}
            </button>
          </span>
        )}
      </div>
    </li>
  );
}

const ORDER: Record<Question["status"], number> = { answering: 0, queued: 1, answered: 2, dropped: 3 };

function Questions() {
  const all = [...room.value.questions].sort((a, b) => ORDER[a.status] - ORDER[b.status] || b.votes - a.votes);
  if (all.length === 0) return <EmptyState icon="question" title={t("questions.empty")}>{t("questions.empty_text")}</EmptyState>;
  return (
    <ul class="questions">
      {all.map((one) => (
        <li key={one.question_id} class={`question is-${one.status}`}>
          <button
            type="button"
            class="vote tabular"
            disabled={one.status === "answered"}
            aria-pressed={votedFor.value.has(one.question_id)}
            aria-label={t("questions.vote", { count: one.votes })}
            onClick={() => vote(one.question_id)}
          >
            <Icon name="up" size={16} />
            {one.votes}
          </button>
          <div>
            {one.status !== "queued" && <span class={`tag ${one.status === "answering" ? "tag-live" : "tag-good"}`}>{t(`questions.${one.status}`)}</span>}
            <p dir="auto">{one.text}</p>
            <span class="muted" dir="auto">
              {one.name}
            </span>
            {one.answer && (
              <p class="question-answer" dir="auto">
                {one.answer}
              </p>
            )}
          </div>
        </li>
      ))}
    </ul>
  );
}

/** Where she writes. The toggle turns a line into a question for the queue. */
export function Composer() {
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  const asking = tab.value === "questions";
  const privately = tab.value === "private";
  const closed = tab.value === "chat" && room.value.membersOnly && !room.value.you?.member;
  const words = closed ? t("chat.members_only") : t(asking ? "questions.placeholder" : privately ? "private.placeholder" : "chat.placeholder");
  const send = (): void => {
    if (!text.trim()) return;
    say(text, asking ? "question" : privately ? "private" : "chat");
    setText("");
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
        input.current?.focus();
      }}
    >
      <button
        type="button"
        class="composer-kind"
        aria-pressed={asking}
        aria-label={t("questions.toggle")}
        title={t("questions.toggle")}
        onClick={() => (tab.value = asking ? "chat" : "questions")}
      >
        <Icon name="question" size={21} />
      </button>
      <input
        ref={input}
        class="composer-input"
        value={text}
        maxLength={500}
        enterKeyHint="send"
        autocomplete="off"
        placeholder={words}
        aria-label={words}
        disabled={closed}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button type="submit" class="composer-send" aria-label={t("chat.send")} disabled={!text.trim() || line.value.word === "closed"}>
        <Icon name="send" size={20} />
      </button>
    </form>
  );
}
