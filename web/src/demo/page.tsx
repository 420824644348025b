/** The demo page as a whole: masthead, story, the three frames, the sum. */
import type { ComponentChildren, JSX } from "preact";
import { useSignal } from "@preact/signals";
import { changeLocale, LOCALES, locale, t, type Locale } from "../shared/i18n";
import { Frames } from "./frames";
import type { Stage } from "./stage";
import { clock, type Frame } from "./story";
import { SumBar } from "./sum";

export function DemoPage({ stage }: { stage: Stage }): JSX.Element {
  const tab = useSignal<Frame>("you");
  const arrival = stage.arrival.value;
  if (stage.arriving.value === "not_a_demo")
    return <Message title={t("demo.not_a_demo")} text={t("demo.not_a_demo_text")} />;
  if (!arrival)
    return (
      <Message
        busy
        title={t("demo.preparing")}
        text={t(stage.arriving.value === "trouble" ? "demo.preparing_trouble" : "demo.preparing_text")}
      />
    );
  const step = arrival.story[stage.moment.value.index];
  const spokenOf = step && step.frame !== "all" ? step.frame : null;
  return (
    <div class="demo">
      <Masthead stage={stage} />
      <Story stage={stage} />
      <Frames stage={stage} arrival={arrival} tab={tab} spokenOf={stage.moment.value.over ? null : spokenOf} />
      <SumBar stage={stage} />
    </div>
  );
}

function Masthead({ stage }: { stage: Stage }): JSX.Element {
  const seconds = stage.sum.value?.seconds_to_rearm;
  return (
    <header class="demo-masthead">
      <p class="demo-brand">
        <img src="/static/mark.svg" alt="" width="24" height="24" />
        <strong>livecommerce</strong>
        <span class="demo-tag">{t("demo.tag")}</span>
      </p>
      <h1>{t("demo.headline")}</h1>
      <div class="demo-tools">
        {stage.newRound.value ? (
          <button type="button" class="pill-button" onClick={() => stage.again()}>
            {t("demo.again")}
          </button>
        ) : (
          seconds !== undefined && (
            <p class="pill tabular" title={t("demo.rearm_why")}>
              <span class="pill-dot" aria-hidden="true" />
              {t("demo.rearm", { clock: clock(seconds) })}
            </p>
          )
        )}
        <label class="demo-language">
          <span class="sr-only">{t("demo.language")}</span>
          <select
            value={locale.value}
            onChange={(event) => void changeLocale((event.currentTarget as HTMLSelectElement).value as Locale)}
          >
            {LOCALES.map((one) => (
              <option key={one} value={one}>
                {LANGUAGE_NAMES[one]}
              </option>
            ))}
          </select>
        </label>
      </div>
    </header>
  );
}

const LANGUAGE_NAMES: Record<Locale, string> = { en: "English", fr: "Français", "zh-Hans": "简体中文" };

/** The step that plays now, in words, and the line of steps with their seconds. */
function Story({ stage }: { stage: Stage }): JSX.Element {
  const steps = stage.arrival.value!.story;
  const { index, progress, over } = stage.moment.value;
  const step = steps[index];
  return (
    <section class="story" aria-label={t("demo.story")}>
      <p class="story-text" role="status" key={over ? "over" : index}>
        {over ? t("demo.over") : (step ? t(`demo.step_${step.key}`) : t("demo.starting"))}
      </p>
      <ol class="story-line" style={{ "--steps": String(Math.max(1, steps.length)) }}>
        {steps.map((one, i) => (
          <li
            key={one.at_seconds}
            class={i < index || over ? "done" : i === index ? "now" : ""}
            aria-current={i === index && !over ? "step" : undefined}
          >
            <span class="story-bar">
              <span style={{ inlineSize: `${(i < index || over ? 1 : i === index ? progress : 0) * 100}%` }} />
            </span>
            <span class="story-second tabular">
              {t("demo.second", { second: one.at_seconds })}
              <span class="sr-only"> {t(`demo.step_${one.key}`)}</span>
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Message({ title, text, busy }: { title: string; text: string; busy?: boolean }): ComponentChildren {
  return (
    <div class="demo-message" role="status" aria-busy={busy}>
      <img src="/static/mark.svg" alt="" width="56" height="56" class={busy ? "breathing" : ""} />
      <h1>{title}</h1>
      <p class="muted">{text}</p>
    </div>
  );
}
