/** Moderation beside the chat: who else is here, what they did, who may write, which words pass, who is silenced. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Refusal } from "../../shared/api";
import { formatLocale, refusalText, t } from "../../shared/i18n";
import { REFUSAL, type Acted, type Line } from "../../shared/protocol";
import { timeOfDay } from "../../shared/time";
import { Avatar, Icon, Sheet } from "../../shared/ui";
import type { Desk } from "../desk";
import { Complaint } from "../parts";
import {
  me,
  saveTalkRules,
  silencedOf,
  talkRules,
  tryLine,
  type Silenced,
  type Staff,
  type StarterName,
  type TalkRules,
} from "../server";
import { asLines, draftOf, onTop, type ListsDraft } from "../wordlists";

const REASONS = ["spam", "insult", "private_data", "off_topic"] as const;
const SLOW_STEPS = [0, 10, 30, 60] as const;
const TIMEOUTS = [5, 10, 60] as const;
const STARTERS: readonly StarterName[] = ["zh", "en", "fr"];
const ACT_SHOWN_MS = 8_000;
const FEED_MAX = 12;
const KEEPERS: readonly Staff["role"][] = ["admin", "manager", "moderator"];

/** Why, in one tap. It stands in the show log beside who and what. */
export function ReasonChips({ value, onChange }: { value: string; onChange: (reason: string) => void }): JSX.Element {
  return (
    <div class="chips" role="group" aria-label={t("mod.reason")}>
      {REASONS.map((one) => {
        const reason = t(`mod.reason_${one}`);
        return (
          <button key={one} type="button" class="chip" aria-pressed={value === reason} onClick={() => onChange(value === reason ? "" : reason)}>
            {reason}
          </button>
        );
      })}
    </div>
  );
}

/** What may be done about one line and whoever said it. */
export function LineSheet({ desk, line, onClose }: { desk: Desk; line: Line; onClose: () => void }): JSX.Element {
  const [reason, setReason] = useState("");
  const act = (doing: Promise<void>): void => {
    void doing;
    onClose();
  };
  return (
    <Sheet open title={t("mod.line_title", { name: line.name })} onClose={onClose} shape="centre" class="line-sheet">
      <blockquote dir="auto">{line.text}</blockquote>
      <ReasonChips value={reason} onChange={setReason} />
      <div class="line-acts">
        <button type="button" class="button button-soft" onClick={() => act(desk.hideLine(line, reason))}>
          {t("mod.hide")}
        </button>
        <div class="line-timeouts" role="group" aria-label={t("mod.timeout")}>
          <span>{t("mod.timeout")}</span>
          {TIMEOUTS.map((minutes) => (
            <button key={minutes} type="button" class="button button-quiet button-small" onClick={() => act(desk.mute(line, minutes, reason))}>
              {t("mod.minutes", { count: minutes })}
            </button>
          ))}
        </div>
        <button type="button" class="button button-danger" onClick={() => act(desk.ban(line, reason))}>
          {t("mod.ban")}
        </button>
      </div>
      <p class="muted">{t("mod.undo_hint")}</p>
    </Sheet>
  );
}

/** Over the chat: the colleagues, their newest deed, and the door to everything else. */
export function ModerationHead({ desk }: { desk: Desk }): JSX.Element {
  const [open, setOpen] = useState(false);
  const here = desk.here.value;
  const rules = [
    desk.room.value.membersOnly && t("mod.members_on"),
    desk.room.value.slowSeconds > 0 && t("console.slow_on", { seconds: desk.room.value.slowSeconds }),
  ].filter(Boolean);
  return (
    <>
      <div class="mod-head">
        <ul class="mod-here" aria-label={t("mod.here")}>
          {here.map((one) => (
            <li key={one.account_id} title={one.name}>
              <Avatar name={one.name} size={26} />
              <span class="sr-only">{one.name}</span>
            </li>
          ))}
        </ul>
        <span class="mod-rules">{rules.join(" · ")}</span>
        <button type="button" class="button button-quiet button-small" aria-haspopup="dialog" onClick={() => setOpen(true)}>
          <Icon name="shield" size={17} /> {t("mod.title")}
        </button>
      </div>
      <LastDeed desk={desk} />
      <Sheet open={open} title={t("mod.title")} onClose={() => setOpen(false)} shape="full" class="mod-sheet">
        <Inside desk={desk} />
      </Sheet>
    </>
  );
}

function LastDeed({ desk }: { desk: Desk }): JSX.Element | null {
  const last = desk.acts.value.at(-1);
  const [seen, setSeen] = useState<Acted | undefined>(last);
  useEffect(() => {
    if (!last || last === seen) return;
    const timer = setTimeout(() => setSeen(last), ACT_SHOWN_MS);
    return () => clearTimeout(timer);
  }, [last, seen]);
  return (
    <p class="mod-deed" role="status">
      {last && last !== seen && <Deed act={last} />}
    </p>
  );
}

function Deed({ act }: { act: Acted }): JSX.Element {
  return (
    <>
      <strong dir="auto">{act.name}</strong> {t(`mod.did_${act.do}`)}
      {act.about && (
        <span class="deed-about" dir="auto">
          {" “"}
          {act.about}
          {"”"}
        </span>
      )}
      {act.reason && <span class="deed-reason">{act.reason}</span>}
    </>
  );
}

function Inside({ desk }: { desk: Desk }): JSX.Element {
  return (
    <div class="mod-inside">
      <WhoMayWrite desk={desk} />
      <SilencedPeople desk={desk} />
      <Deeds desk={desk} />
      <Words />
    </div>
  );
}

/** What is chosen, shown at once and until the server has answered: whatever changes meanwhile does not take it back. */
function useAsked<T extends number | boolean>(now: T, ask: (wanted: T) => Promise<unknown>): [T, (wanted: T) => void] {
  const [asked, setAsked] = useState<T | null>(null);
  const choose = async (wanted: T): Promise<void> => {
    setAsked(() => wanted);
    await ask(wanted);
    setAsked((newest) => (newest === wanted ? null : newest));
  };
  return [asked ?? now, (wanted) => void choose(wanted)];
}

function WhoMayWrite({ desk }: { desk: Desk }): JSX.Element {
  const room = desk.room.value;
  const [membersOnly, setMembersOnly] = useAsked(room.membersOnly, (on) => desk.command({ do: "members_only", on }));
  const [slowSeconds, setSlowSeconds] = useAsked(room.slowSeconds, (seconds) => desk.command({ do: "slow_mode", seconds }));
  return (
    <section class="mod-part">
      <h3>{t("mod.who")}</h3>
      <label class="switch-row">
        <input
          type="checkbox"
          role="switch"
          checked={membersOnly}
          onChange={(event) => setMembersOnly(event.currentTarget.checked)}
        />
        <span>
          <strong>{t("mod.members")}</strong>
          <span class="muted">{t("mod.members_is")}</span>
        </span>
      </label>
      <div class="mod-slow">
        <strong id="slow-title">{t("console.slow_mode")}</strong>
        <div class="segments" role="radiogroup" aria-labelledby="slow-title">
          {SLOW_STEPS.map((step) => (
            <label key={step}>
              <input
                type="radio"
                name="slow"
                class="sr-only"
                checked={slowSeconds === step}
                onChange={() => setSlowSeconds(step)}
              />
              {step === 0 ? t("console.slow_off") : t("mod.seconds", { count: step })}
            </label>
          ))}
        </div>
        <span class="muted">{t("mod.slow_is")}</span>
      </div>
    </section>
  );
}

function SilencedPeople({ desk }: { desk: Desk }): JSX.Element {
  const [people, setPeople] = useState<readonly Silenced[]>([]);
  const deeds = desk.acts.value; // the list is capped: its length says nothing
  useEffect(() => {
    silencedOf(desk.showId).then(
      (came) => setPeople(came.people),
      () => undefined, // the list stays as it was; the next deed asks again
    );
  }, [deeds]);
  return (
    <section class="mod-part">
      <h3>{t("mod.silenced")}</h3>
      {people.length === 0 && <p class="muted">{t("mod.silenced_none")}</p>}
      <ul class="mod-list">
        {people.map((one) => (
          <li key={one.viewer_id + one.kind}>
            <Avatar name={one.name || "·"} size={30} />
            <span class="mod-who">
              <strong dir="auto">{one.name || t("mod.someone")}</strong>
              <span class="muted">
                {one.kind === "ban" ? t("mod.is_banned") : t("mod.is_muted", { time: timeOfDay(one.until_ms ?? 0, formatLocale()) })}
                {one.by && ` · ${one.by}`}
              </span>
            </span>
            <button
              type="button"
              class="button button-quiet button-small"
              onClick={() =>
                void desk.command(
                  one.kind === "ban"
                    ? { do: "ban", viewer_id: one.viewer_id, lift: true }
                    : { do: "mute", viewer_id: one.viewer_id, minutes: 0 },
                )
              }
            >
              {t("mod.lift")}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Deeds({ desk }: { desk: Desk }): JSX.Element {
  const deeds = desk.acts.value.slice(-FEED_MAX).reverse();
  return (
    <section class="mod-part">
      <h3>{t("mod.deeds")}</h3>
      {deeds.length === 0 && <p class="muted">{t("mod.deeds_none")}</p>}
      <ul class="mod-deeds">
        {deeds.map((act) => (
          <li key={`${act.at_ms}${act.do}${act.about}`}>
            <time class="tabular">{timeOfDay(act.at_ms, formatLocale())}</time>
            <span>
              <Deed act={act} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

// --- word lists -------------------------------------------------------------------------------------------------------

function Words(): JSX.Element {
  const [kept, setKept] = useState<TalkRules | null>(null);
  const [role, setRole] = useState<Staff["role"] | null>(null);
  const [wrong, setWrong] = useState("");
  const [saved, setSaved] = useState<number | null>(null); // the version that she saved; lists nobody saved have 0
  const load = async (): Promise<TalkRules | null> => {
    try {
      const [rules, { staff }] = await Promise.all([talkRules(), me()]);
      setRole(staff?.role ?? null);
      setKept(rules);
      setWrong("");
      return rules;
    } catch (error) {
      setWrong(error instanceof Refusal ? refusalText(error) : String(error));
      return null;
    }
  };
  useEffect(() => void load(), []);
  return (
    <section class="mod-part">
      <h3>{t("mod.words")}</h3>
      <Complaint text={wrong} />
      {kept && <Judge judge={kept.judge} />}
      {kept && <TryALine />}
      {kept && (
        <Lists
          kept={kept}
          mayKeep={!!role && KEEPERS.includes(role)}
          isSaved={saved === kept.rules.version}
          onKept={(rules) => {
            setSaved(rules.rules.version);
            setKept(rules);
          }}
          onStale={load}
        />
      )}
    </section>
  );
}

function Judge({ judge }: { judge: TalkRules["judge"] }): JSX.Element {
  const blanks = { ms: judge.budget_ms, fallback: t(`mod.fallback_${judge.fallback}`) };
  return (
    <p class={`judge judge-${judge.status}`} role="status">
      <span class="line-dot" aria-hidden="true" />
      <span>
        {t(`mod.judge_${judge.status}`, blanks)}
        {judge.last_failure && judge.status !== "well" && <span class="muted"> {judge.last_failure}</span>}
      </span>
    </p>
  );
}

function TryALine(): JSX.Element {
  const [text, setText] = useState("");
  const [said, setSaid] = useState<{ bad: boolean; words: string } | null>(null);
  const ask = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!text.trim()) return;
    try {
      const { word, link } = await tryLine(text);
      setSaid(
        word
          ? { bad: true, words: t("mod.try_word", { word }) }
          : link
            ? { bad: true, words: t("mod.try_link", { link }) }
            : { bad: false, words: t("mod.try_passes") },
      );
    } catch (error) {
      setSaid({ bad: true, words: error instanceof Refusal ? refusalText(error) : String(error) });
    }
  };
  return (
    <form class="try-line" onSubmit={(event) => void ask(event)}>
      <label for="try-line">{t("mod.try")}</label>
      <div class="row">
        <input id="try-line" class="input" maxLength={500} autocomplete="off" value={text} onInput={(event) => setText(event.currentTarget.value)} />
        <button type="submit" class="button button-soft button-small">
          {t("mod.try_do")}
        </button>
      </div>
      <p class={said?.bad ? "try-bad" : "try-good"} role="status">
        {said?.words}
      </p>
    </form>
  );
}

const toggled = (names: readonly StarterName[], name: StarterName): StarterName[] =>
  names.includes(name) ? names.filter((one) => one !== name) : [...names, name];

function Lists(props: {
  kept: TalkRules;
  mayKeep: boolean;
  isSaved: boolean;
  onKept: (rules: TalkRules) => void;
  onStale: () => Promise<TalkRules | null>;
}): JSX.Element {
  const { kept, mayKeep, isSaved } = props;
  const [draft, setDraft] = useState<ListsDraft>(draftOf(kept.rules));
  const [wrong, setWrong] = useState("");
  const change = (what: Partial<ListsDraft>): void => setDraft((before) => ({ ...before, ...what }));
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    setWrong("");
    try {
      const saved = await saveTalkRules({
        version: kept.rules.version,
        words: asLines(draft.words),
        allowed: asLines(draft.allowed),
        link_hosts: asLines(draft.hosts),
        starters: [...draft.starters],
      });
      setDraft(draftOf(saved.rules));
      props.onKept(saved);
    } catch (error) {
      const theirs = error instanceof Refusal && error.number === REFUSAL.CONFLICT ? await props.onStale() : null;
      if (theirs) {
        setDraft((mine) => onTop(kept.rules, theirs.rules, mine));
        setWrong(t("mod.lists_merged", { name: theirs.rules.changed_by }));
      } else setWrong(error instanceof Refusal ? refusalText(error) : String(error));
    }
  };
  return (
    <form class="word-lists" onSubmit={(event) => void save(event)}>
      <fieldset disabled={!mayKeep}>
        <legend>{t("mod.starters")}</legend>
        {STARTERS.map((name) => (
          <label key={name} class="switch-row">
            <input
              type="checkbox"
              role="switch"
              checked={draft.starters.includes(name)}
              onChange={() => change({ starters: toggled(draft.starters, name) })}
            />
            <span>
              <strong>{t(`mod.starter_${name}`)}</strong>
              <span class="muted">{t("mod.entries", { count: kept.starters[name].length })}</span>
            </span>
          </label>
        ))}
        <Area label={t("mod.own_words")} help={t("mod.own_words_is")} value={draft.words} rows={6} onInput={(words) => change({ words })} />
        <Area label={t("mod.allowed")} help={t("mod.allowed_is")} value={draft.allowed} rows={2} onInput={(allowed) => change({ allowed })} />
        <Area label={t("mod.hosts")} help={t("mod.hosts_is", { hosts: kept.own_hosts.join(", ") })} value={draft.hosts} rows={2} onInput={(hosts) => change({ hosts })} />
        {mayKeep ? (
          <div class="row">
            <button type="submit" class="button button-primary">
              {t("mod.save")}
            </button>
            <span class="muted" role="status">
              {isSaved && t("mod.saved")}
              {!isSaved && kept.rules.changed_by && t("mod.changed_by", { name: kept.rules.changed_by })}
            </span>
          </div>
        ) : (
          <p class="muted">{t("mod.not_keeper")}</p>
        )}
      </fieldset>
      <Complaint text={wrong} />
    </form>
  );
}

function Area(props: { label: string; help: string; value: string; rows: number; onInput: (text: string) => void }): JSX.Element {
  return (
    <label class="labelled">
      <span class="labelled-name">{props.label}</span>
      <textarea class="input" rows={props.rows} spellcheck={false} value={props.value} onInput={(event) => props.onInput(event.currentTarget.value)} />
      <span class="labelled-help">{props.help}</span>
    </label>
  );
}
