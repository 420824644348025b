/** The first thing one sees: the show that is on air, else the next one with its countdown, else the house itself. */
import type { JSX } from "preact";
import { formatLocale, t } from "../shared/i18n";
import type { ShowFacts } from "../shared/protocol";
import { dayAndTime } from "../shared/time";
import { Icon, useNowMs } from "../shared/ui";
import { calendarPath, shop, type ShowList } from "./server";

export function Hero({ shows, trouble }: { shows: ShowList | null; trouble: string }): JSX.Element {
  const live = shows?.live[0];
  const next = shows?.upcoming.find((show) => show.scheduled_at_ms !== null);
  if (!shows && !trouble) return <section class="hero hero-wait" aria-busy="true" />;
  if (live) return <LiveHero show={live} />;
  if (next) return <NextHero show={next} />;
  return (
    <section class="hero hero-quiet">
      <div class="hero-words">
        <p class="eyebrow">{t("shop.quiet_eyebrow")}</p>
        <h1>{t("shop.quiet_title", { name: shop.value.name })}</h1>
        <p class="hero-text">{trouble || t("shop.quiet_text")}</p>
        <a class="button button-primary button-l" href="#products">
          {t("shop.browse")}
        </a>
      </div>
      <Still show={null} />
    </section>
  );
}

function LiveHero({ show }: { show: ShowFacts }): JSX.Element {
  const href = `/watch/${encodeURIComponent(show.show_id)}`;
  return (
    <section class="hero hero-live">
      <div class="hero-words">
        <p class="eyebrow">
          <span class="live-mark">{t("live")}</span> {t(`shop.corner_${show.corner}`)}
        </p>
        <h1>{show.title}</h1>
        <p class="hero-text">{show.about || t("shop.with", { host: show.host_name })}</p>
        {show.about && <p class="hero-host">{t("shop.with", { host: show.host_name })}</p>}
        <a class="button button-primary button-l" href={href}>
          <Icon name="play" size={20} /> {t("shop.watch_now")}
        </a>
      </div>
      <a class="hero-still" href={href} aria-label={t("shop.watch_show", { title: show.title })}>
        <Still show={show} />
        <span class="hero-play" aria-hidden="true">
          <Icon name="play" size={32} />
        </span>
      </a>
    </section>
  );
}

function NextHero({ show }: { show: ShowFacts }): JSX.Element {
  const at = show.scheduled_at_ms!;
  return (
    <section class="hero hero-next">
      <div class="hero-words">
        <p class="eyebrow">{t(`shop.corner_${show.corner}`)}</p>
        <h1>{show.title}</h1>
        <p class="hero-text">
          {dayAndTime(at, formatLocale())} · {t("shop.with", { host: show.host_name })}
        </p>
        <BigCountdown toMs={at} />
        <p class="hero-ways">
          <a class="button button-primary button-l" href={`/watch/${encodeURIComponent(show.show_id)}`}>
            {t("shop.waiting_room")}
          </a>
          <a class="button button-quiet button-l" href={calendarPath(show.show_id)} download>
            <Icon name="calendar" size={20} /> {t("shop.add_to_calendar")}
          </a>
        </p>
      </div>
      <a class="hero-still" href={`/watch/${encodeURIComponent(show.show_id)}`} aria-hidden="true" tabIndex={-1}>
        <Still show={show} />
      </a>
    </section>
  );
}

function BigCountdown({ toMs }: { toMs: number }): JSX.Element {
  const left = Math.max(0, Math.ceil((toMs - useNowMs()) / 1000));
  const parts = [
    { unit: "days", value: Math.floor(left / 86_400) },
    { unit: "hours", value: Math.floor(left / 3600) % 24 },
    { unit: "minutes", value: Math.floor(left / 60) % 60 },
    { unit: "seconds", value: left % 60 },
  ].filter((part, i) => i > 0 || part.value > 0);
  return (
    <p class="big-countdown" role="timer" aria-live="off">
      {parts.map(({ unit, value }) => (
        <span key={unit}>
          <strong class="tabular">{String(value).padStart(2, "0")}</strong>
          <span>{t(`shop.${unit}`, { count: value })}</span>
        </span>
      ))}
    </p>
  );
}

/** The show's poster, or colours of its corner. */
function Still({ show }: { show: ShowFacts | null }): JSX.Element {
  return (
    <span class={`still ${show ? `still-${show.corner}` : ""}`}>
      {show?.video.poster ? <img src={show.video.poster} alt="" /> : <span class="still-drawn" aria-hidden="true" />}
    </span>
  );
}
