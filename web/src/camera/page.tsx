/**
 * The camera phone: what a host can read at two metres, and the few things a thumb must hit. Full-screen picture; above
 * it how the line does, below it what is on air, three questions, and one NEXT. No dialog opens while live.
 */
import type { JSX } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { Desk } from "../console/desk";
import { Delay } from "../console/live/status";
import { InterruptionNote } from "../console/interrupted";
import { TwoStep } from "../console/parts";
import { currency } from "../console/server";
import { count, formatLocale, refusalText, t } from "../shared/i18n";
import { money } from "../shared/money";
import type { CardFacts } from "../shared/protocol";
import { clockText, nowMs, watchTime } from "../shared/time";
import { Button, EmptyState, IconButton, Picture } from "../shared/ui";
import { CameraStudio } from "./studio";

const QUESTIONS_SHOWN = 3;
const WEAK_KBPS = 600;

export function CameraPage({ showId }: { showId: string }): JSX.Element {
  const desk = useMemo(() => new Desk(showId), [showId]);
  const studio = useMemo(() => new CameraStudio(showId), [showId]);
  useEffect(() => {
    void desk.start();
    void studio.open();
    const turned = (): void => void studio.turned();
    const woke = (): void => void (document.visibilityState === "visible" && studio.awake());
    const online = (): void => void studio.awake();
    screen.orientation?.addEventListener("change", turned);
    document.addEventListener("visibilitychange", woke);
    addEventListener("online", online);
    const stopTime = watchTime();
    return () => {
      screen.orientation?.removeEventListener("change", turned);
      document.removeEventListener("visibilitychange", woke);
      removeEventListener("online", online);
      stopTime();
      studio.stop();
    };
  }, [desk, studio]);

  if (desk.trouble.value && !desk.show.value)
    return (
      <EmptyState icon="video" title={t("camera.no_show")}>
        <p>{refusalText(desk.trouble.value)}</p>
      </EmptyState>
    );
  return (
    <div class="camera on-video">
      <Viewfinder studio={studio} />
      <header class="camera-top">
        <Air desk={desk} />
        <LineWords studio={studio} desk={desk} />
      </header>
      <Alerts desk={desk} studio={studio} />
      <section class="camera-bottom">
        <OnAir desk={desk} />
        <Questions desk={desk} />
        <Controls desk={desk} studio={studio} />
        <Next desk={desk} />
      </section>
    </div>
  );
}

function Viewfinder({ studio }: { studio: CameraStudio }): JSX.Element {
  const element = useRef<HTMLVideoElement>(null);
  const stream = studio.stream.value;
  useEffect(() => {
    if (element.current) element.current.srcObject = stream;
  }, [stream]);
  const trouble = studio.trouble.value;
  return (
    <>
      <video
        ref={element}
        class={`viewfinder ${studio.facing.value === "user" ? "mirrored" : ""}`}
        muted
        autoplay
        playsInline
        aria-label={t("camera.preview")}
      />
      {trouble && (
        <div class="camera-trouble" role="alert">
          <p class="display">{t(`camera.${trouble}`)}</p>
          <p>{t(`camera.${trouble}_do`)}</p>
          {trouble !== "insecure" && trouble !== "no_recorder" && (
            <Button icon="refresh" kind="soft" onClick={() => void studio.open()}>
              {t("camera.again")}
            </Button>
          )}
        </div>
      )}
    </>
  );
}

function Air({ desk }: { desk: Desk }): JSX.Element {
  const status = desk.status.value;
  const show = desk.room.value.show ?? desk.show.value?.show;
  return (
    <p class="camera-air">
      <span class={`air air-${status}`}>
        <span class="live-dot" aria-hidden="true" /> {t(`console.status_${status}`)}
      </span>
      {status === "live" && show?.started_at_ms != null && (
        <span class="tabular">{clockText(Math.max(0, nowMs.value - show.started_at_ms))}</span>
      )}
      <span class="tabular">
        {count(desk.room.value.viewers)} {t("console.viewers", { count: desk.room.value.viewers })}
      </span>
    </p>
  );
}

function LineWords({ studio, desk }: { studio: CameraStudio; desk: Desk }): JSX.Element {
  const line = studio.line.value;
  const health = studio.health.value;
  const weak = line.word === "sending" && !!health && health.recorded_ms > 5000 && health.kbps < WEAK_KBPS;
  const tone = line.word === "sending" ? (weak ? "warn" : "good") : line.word === "idle" ? "plain" : "bad";
  const words =
    line.word === "sending"
      ? weak
        ? t("camera.weak")
        : t("camera.sending", { rate: ((health?.kbps ?? 0) / 1000).toFixed(1) })
      : line.word === "returning"
        ? t("camera.returning")
        : line.word === "refused"
          ? line.text
          : t(`camera.${line.word}`);
  return (
    <div class="camera-line">
      <span class={`line line-${tone}`} role="status">
        <span class="line-dot" aria-hidden="true" /> {words}
      </span>
      <Microphone studio={studio} />
      {desk.status.value === "live" && <Delay desk={desk} />}
    </div>
  );
}

function Microphone({ studio }: { studio: CameraStudio }): JSX.Element {
  const on = studio.micOn.value;
  return (
    <meter
      class="mic"
      min={0}
      max={1}
      value={on ? studio.level.value : 0}
      aria-label={t(on ? "camera.mic_level" : "camera.mic_off")}
    />
  );
}

/** Each a sentence that can be said on air. */
function Alerts({ desk, studio }: { desk: Desk; studio: CameraStudio }): JSX.Element {
  const lowered = studio.lowered.value;
  const restarts = studio.health.value?.restarts ?? 0;
  const alert = desk.alerts.value.at(-1);
  return (
    <div class="camera-alerts" aria-live="polite">
      <InterruptionNote desk={desk} class="camera-alert" />
      {restarts > 0 && <p class="camera-alert">{t("filming.restarted")}</p>}
      {lowered && <p class="camera-alert">{t(`camera.lowered_${lowered}`)}</p>}
      {studio.flipFailed.value && <p class="camera-alert">{t("camera.flip_failed")}</p>}
      {studio.converted.value && !studio.sending.value && <p class="camera-alert">{t("camera.converted")}</p>}
      {alert && <p class={`camera-alert tone-${alert.tone}`}>{t(alert.says, alert.params)}</p>}
      {desk.toast.value && <p class="camera-alert">{t(desk.toast.value.says, desk.toast.value.params)}</p>}
    </div>
  );
}

function OnAir({ desk }: { desk: Desk }): JSX.Element {
  const card = desk.now.value;
  if (!card) return <p class="camera-free">{t("console.picture_free")}</p>;
  const left = card.deals.reduce((sum, deal) => sum + desk.numbers(deal).available, 0);
  return (
    <article class="camera-now">
      <h1>{card.title}</h1>
      <p class="camera-price tabular">
        {priceOf(card)}
        {card.deals.length > 0 && (
          <span class={left === 0 ? "none" : ""}>{left ? t("console.left", { count: left }) : t("console.sold_out")}</span>
        )}
      </p>
      {card.line && <p class="camera-talk">{card.line}</p>}
    </article>
  );
}

function Questions({ desk }: { desk: Desk }): JSX.Element | null {
  const questions = desk.queue.value.slice(0, QUESTIONS_SHOWN);
  if (!questions.length) return null;
  return (
    <ul class="camera-questions" aria-label={t("console.questions")}>
      {questions.map((question) => (
        <li key={question.question_id}>
          <span dir="auto">{question.text}</span>
          <IconButton
            icon="check"
            label={t("console.answered")}
            onClick={() => void desk.command({ do: "answer_question", question_id: question.question_id })}
          />
        </li>
      ))}
    </ul>
  );
}

function Controls({ desk, studio }: { desk: Desk; studio: CameraStudio }): JSX.Element {
  const sending = studio.sending.value;
  const waits = desk.status.value === "draft" || desk.status.value === "scheduled" || desk.status.value === "interrupted";
  return (
    <div class="camera-controls" role="toolbar" aria-label={t("console.actions")}>
      <IconButton icon="refresh" label={t("camera.flip")} onClick={() => void studio.flip()} />
      <IconButton
        icon={studio.micOn.value ? "mic" : "muted"}
        label={t(studio.micOn.value ? "camera.mute" : "camera.unmute")}
        aria-pressed={!studio.micOn.value}
        onClick={() => studio.setMic(!studio.micOn.value)}
      />
      {sending ? (
        <TwoStep label={t("camera.stop")} sure={t("camera.stop_sure")} onSure={() => studio.stop()} />
      ) : (
        <Button icon="video" disabled={!studio.stream.value} onClick={() => void studio.start()}>
          {t("camera.start")}
        </Button>
      )}
      {sending && waits && (
        <Button class="camera-go" onClick={() => void desk.command({ do: "go_live" })}>
          {t("console.go_live")}
        </Button>
      )}
    </div>
  );
}

function Next({ desk }: { desk: Desk }): JSX.Element {
  const next = desk.next.value;
  const running = desk.status.value === "live" || desk.status.value === "interrupted";
  return (
    <button
      type="button"
      class="camera-next"
      disabled={!next || !running || desk.busy.value === "show_card"}
      onClick={() => void desk.showCard(next)}
    >
      {next ? (
        <>
          <Picture src={next.image} name={next.title} class="picture-m" />
          <span class="camera-next-words">
            <span class="next-word">{t("console.next")} ▶</span>
            <span class="camera-next-title">{next.title}</span>
            <span class="tabular">{priceOf(next)}</span>
          </span>
        </>
      ) : (
        t("console.next_none")
      )}
    </button>
  );
}

function priceOf(card: CardFacts): string {
  const prices = card.bundle_minor !== null ? [card.bundle_minor] : card.deals.map((deal) => deal.price_minor);
  return prices.length ? money(Math.min(...prices), currency.value, formatLocale()) : "";
}
