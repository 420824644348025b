/** The live desk: status, rundown, stage, people, alerts, actions. Keys come in here; each part draws itself. */
import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { refusalText, t } from "../../shared/i18n";
import { watchTime } from "../../shared/time";
import { Desk } from "../desk";
import { actionOf, keysBelongTo, type Action } from "../keymap";
import { EmptyState } from "../../shared/ui";
import { InterruptionNote } from "../interrupted";
import { AlertStrip, Toasts } from "./alerts";
import { ActionBar } from "./bar";
import { KeysHelp } from "./keys";
import { PeoplePane, type PeopleTab } from "./people";
import { RundownPane } from "./rundown";
import { StagePane } from "./stage";
import { StatusBar } from "./status";

const COUNTDOWN_SECONDS = 10;
type Side = "stage" | "rundown" | "people";

export function LivePage({ showId }: { showId: string }): JSX.Element {
  const desk = useMemo(() => new Desk(showId), [showId]);
  const tab = useSignal<PeopleTab>("chat");
  const side = useSignal<Side>("stage");
  const selected = useSignal("");
  const helping = useSignal(false);
  const ending = useSignal(0);

  useEffect(() => void desk.start(), [desk]);
  useEffect(() => watchTime(), []);
  useEffect(() => {
    const act = (action: Action): void => {
      switch (action.do) {
        case "next":
          return void desk.showCard(desk.next.value);
        case "previous":
          return void desk.showCard(desk.previous.value);
        case "card":
          return void desk.showCard(desk.cards.value[action.number - 1]);
        case "hide":
          return void desk.hideCard();
        case "countdown":
          return void desk.countdown(COUNTDOWN_SECONDS);
        case "pin": {
          const line = selected.value || desk.room.value.talk.at(-1)?.line_id;
          return line ? void desk.command({ do: "pin_line", line_id: line }) : undefined;
        }
        case "chat":
          tab.value = "chat";
          side.value = "people";
          return void requestAnimationFrame(() => document.getElementById("say-as-host")?.focus());
        case "questions":
          tab.value = "questions";
          side.value = "people";
          return;
        case "answered": {
          const question = desk.queue.value[0];
          return question ? void desk.command({ do: "answer_question", question_id: question.question_id }) : undefined;
        }
        case "break":
          return void desk.pause(t("console.back_soon"));
        case "undo":
          return desk.undo();
        case "end":
          ending.value += 1;
          return;
        case "help":
          helping.value = !helping.value;
      }
    };
    const pressed = (event: KeyboardEvent): void => {
      if (event.key === "Escape") helping.value = false;
      const isCovered = document.querySelector('[aria-modal="true"]') !== null;
      const action = actionOf(event, keysBelongTo(event.target as HTMLElement | null, event.key), isCovered);
      if (!action || event.repeat) return;
      event.preventDefault();
      act(action);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [desk]);

  const trouble = desk.trouble.value;
  if (!desk.show.value)
    return trouble ? (
      <EmptyState icon="alert" title={t("console.show_trouble")}>
        <p>{refusalText(trouble)}</p>
        <a class="button button-quiet" href={trouble.number === 200 ? signInPath() : "/console"}>
          {t(trouble.number === 200 ? "console.sign_in" : "console.all_shows")}
        </a>
      </EmptyState>
    ) : (
      <DeskSkeleton />
    );

  const toDo = desk.deciding.count.value.waiting + desk.deciding.items.value.length + desk.unanswered.value;
  return (
    <div class={`desk desk-side-${side.value}`}>
      <StatusBar desk={desk} ending={ending.value} onHelp={() => (helping.value = true)} />
      <RundownPane desk={desk} />
      <StagePane desk={desk} />
      <PeoplePane desk={desk} tab={tab} selected={selected} />
      <div class="desk-alerts-all">
        <InterruptionNote desk={desk} />
        <AlertStrip desk={desk} />
      </div>
      <ActionBar desk={desk} seconds={COUNTDOWN_SECONDS} />
      <nav class="desk-sides" aria-label={t("console.parts")}>
        {(["stage", "rundown", "people"] as const).map((one) => (
          <button
            key={one}
            type="button"
            aria-current={side.value === one ? "page" : undefined}
            onClick={() => (side.value = one)}
          >
            {t(`console.side_${one}`)}
            {one === "people" && toDo > 0 && <span class="count-badge">{toDo}</span>}
          </button>
        ))}
      </nav>
      <Toasts desk={desk} />
      <KeysHelp open={helping.value} onClose={() => (helping.value = false)} />
    </div>
  );
}

function signInPath(): string {
  return `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
}

function DeskSkeleton(): JSX.Element {
  return (
    <div class="desk desk-loading" aria-busy="true">
      <p class="sr-only" role="status">
        {t("console.loading")}
      </p>
      <div class="desk-status bone" />
      <div class="desk-rundown bone" />
      <div class="desk-stage bone" />
      <div class="desk-people bone" />
      <div class="desk-bar bone" />
    </div>
  );
}
