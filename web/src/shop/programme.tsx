/** The programme: shows to come by their corner, and those that may be looked at again. */
import type { JSX } from "preact";
import { formatLocale, t } from "../shared/i18n";
import type { ShowFacts } from "../shared/protocol";
import { dayAndTime } from "../shared/time";
import { EmptyState, Icon } from "../shared/ui";
import { byCorner } from "./corners";
import { calendarPath, type ShowList } from "./server";

export function Programme({ shows }: { shows: ShowList }): JSX.Element {
  const corners = byCorner([...shows.live, ...shows.upcoming]);
  return (
    <section class="programme" id="shows" aria-labelledby="programme-title">
      <header class="section-head">
        <h2 id="programme-title">{t("shop.programme")}</h2>
        <p class="muted">{t("shop.programme_text")}</p>
      </header>
      {corners.length === 0 ? (
        <div class="panel">
          <EmptyState icon="calendar" title={t("shop.programme_empty")}>
            <p>{t("shop.programme_empty_text")}</p>
          </EmptyState>
        </div>
      ) : (
        <div class="corner-list">
          {corners.map(({ corner, shows: list }) => (
            <section key={corner} class="corner-block" aria-labelledby={`corner-${corner}`}>
              <header class={`corner-head tint-${corner}`}>
                <h3 id={`corner-${corner}`} class="display">
                  {t(`shop.corner_${corner}`)}
                </h3>
                <p>{t(`shop.corner_${corner}_is`)}</p>
              </header>
              <ul>
                {list.map((show) => (
                  <ShowLine key={show.show_id} show={show} />
                ))}
              </ul>
            </section>
          ))}
        </div>
      )}
    </section>
  );
}

function ShowLine({ show }: { show: ShowFacts }): JSX.Element {
  const live = show.status === "live" || show.status === "interrupted";
  return (
    <li class="show-line">
      <a href={`/watch/${encodeURIComponent(show.show_id)}`}>
        <span class="show-line-title">{show.title}</span>
        <span class="muted">
          {live ? (
            <span class="live-mark">{t("live")}</span>
          ) : show.scheduled_at_ms === null ? (
            t("shop.soon")
          ) : (
            dayAndTime(show.scheduled_at_ms, formatLocale())
          )}
          {" · "}
          {show.host_name}
          {show.access !== "public" && (
            <span class="show-line-access">
              {" "}
              · <Icon name="lock" size={13} /> {t(`shop.access_${show.access}`)}
            </span>
          )}
        </span>
      </a>
      {!live && show.scheduled_at_ms !== null && (
        <a
          class="icon-button"
          href={calendarPath(show.show_id)}
          download
          aria-label={t("shop.add_show_to_calendar", { title: show.title })}
        >
          <Icon name="calendar" size={20} />
        </a>
      )}
    </li>
  );
}
