/** All shows of the person who is here: on air, coming, drafts, past; and the way to a new one. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Refusal } from "../../shared/api";
import { formatLocale, refusalText, t } from "../../shared/i18n";
import type { ShowFacts } from "../../shared/protocol";
import { clockText, dayAndTime, nowMs, watchTime } from "../../shared/time";
import { Button, EmptyState, Icon, Sheet } from "../../shared/ui";
import { Complaint, Status } from "../parts";
import { createShow, logout, me, shop, showsOfStaff, type Staff } from "../server";
import { ShowForm } from "../editor/form";
import { grouped, type Group } from "./groups";

const LOOK_AGAIN_MS = 15_000;

export function ShowsPage(): JSX.Element {
  const [shows, setShows] = useState<readonly ShowFacts[] | null>(null);
  const [staff, setStaff] = useState<Staff | null>(null);
  const [complaint, setComplaint] = useState("");
  const [making, setMaking] = useState(false);

  useEffect(() => watchTime(), []);
  useEffect(() => {
    const load = async (): Promise<void> => {
      try {
        const [list, who] = await Promise.all([showsOfStaff(), me()]);
        setShows(list);
        setStaff(who.staff);
        setComplaint("");
      } catch (error) {
        setComplaint(error instanceof Refusal ? refusalText(error) : String(error));
      }
    };
    void load();
    const timer = setInterval(() => void load(), LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, []);

  const groups = grouped(shows ?? []);
  return (
    <div class="console">
      <Masthead staff={staff} />
      <div class="console-head">
        <div>
          <h1>{t("console.shows")}</h1>
          <p class="muted">{t("console.shows_text")}</p>
        </div>
        <Button icon="plus" onClick={() => setMaking(true)}>
          {t("console.new_show")}
        </Button>
      </div>
      <Complaint text={complaint} />
      {shows === null && !complaint && <div class="bone bone-list" aria-busy="true" />}
      {shows !== null && shows.length === 0 && (
        <div class="panel">
          <EmptyState icon="video" title={t("console.shows_empty")}>
            <p>{t("console.shows_empty_text")}</p>
            <Button onClick={() => setMaking(true)}>{t("console.first_show")}</Button>
          </EmptyState>
        </div>
      )}
      {groups.map((group) => (
        <ShowGroup key={group.name} group={group} />
      ))}
      <Sheet
        open={making}
        title={t("console.new_show")}
        shape="full"
        onClose={() => setMaking(false)}
        class="sheet-form"
      >
        <ShowForm
          submit={t("console.create_show")}
          onSubmit={async (draft) => {
            const show = await createShow(draft);
            location.assign(`/console/shows/${encodeURIComponent(show.show_id)}?edit`);
          }}
        />
      </Sheet>
    </div>
  );
}

export function Masthead({ staff }: { staff: Staff | null }): JSX.Element {
  const leave = async (): Promise<void> => {
    await logout().catch(() => null);
    location.assign("/login");
  };
  return (
    <header class="masthead">
      <a class="masthead-brand" href="/console">
        <img src="/static/mark.svg" alt="" width="26" height="26" />
        <strong>{shop.value?.name ?? "livecommerce"}</strong>
      </a>
      <nav aria-label={t("console.pages")}>
        <a href="/" class="masthead-link">
          {t("console.to_shop")}
        </a>
        {staff && staff.role !== "moderator" && (
          <a href="/console/counter" class="masthead-link">
            {t("console.counter")}
          </a>
        )}
        {staff && (
          <>
            <span class="masthead-who">
              {staff.name} <span class="muted">{t(`console.role_${staff.role}`)}</span>
            </span>
            <button type="button" class="button button-quiet button-small" onClick={() => void leave()}>
              {t("console.sign_out")}
            </button>
          </>
        )}
      </nav>
    </header>
  );
}

function ShowGroup({ group }: { group: Group }): JSX.Element {
  return (
    <section class="show-group" aria-labelledby={`group-${group.name}`}>
      <h2 id={`group-${group.name}`}>
        {t(`console.group_${group.name}`)} <span class="muted tabular">{group.shows.length}</span>
      </h2>
      <ul class="show-list">
        {group.shows.map((show) => (
          <ShowRow key={show.show_id} show={show} />
        ))}
      </ul>
    </section>
  );
}

function ShowRow({ show }: { show: ShowFacts }): JSX.Element {
  const href = `/console/shows/${encodeURIComponent(show.show_id)}`;
  const running = show.status === "live" || show.status === "interrupted";
  return (
    <li class={`show-row show-${show.status}`}>
      <span class={`corner corner-${show.corner}`} aria-hidden="true" />
      <div class="show-words">
        <p class="show-corner">{t(`console.corner_${show.corner}`)}</p>
        <h3>
          <a href={href}>{show.title || t("console.untitled")}</a>
        </h3>
        <p class="muted show-when">
          <Status status={show.status} />
          <span>{whenOf(show)}</span>
          <span>· {show.host_name}</span>
          {show.access !== "public" && (
            <span class="show-access">
              <Icon name="lock" size={14} /> {t(`console.access_${show.access}`)}
            </span>
          )}
        </p>
      </div>
      <div class="show-ways">
        {show.status !== "ended" && show.status !== "cancelled" && (
          <a class="button button-quiet button-small" href={`${href}?edit`}>
            {t("console.edit")}
          </a>
        )}
        <a class={`button button-small ${running ? "button-primary" : "button-soft"}`} href={href}>
          {t(running ? "console.to_desk" : show.status === "ended" ? "console.to_report" : "console.open_desk")}
        </a>
      </div>
    </li>
  );
}

function whenOf(show: ShowFacts): string {
  if (show.started_at_ms !== null && (show.status === "live" || show.status === "interrupted"))
    return t("console.since", { clock: clockText(Math.max(0, nowMs.value - show.started_at_ms)) });
  const at = show.status === "ended" ? (show.ended_at_ms ?? show.started_at_ms) : show.scheduled_at_ms;
  return at === null ? t("console.no_date") : dayAndTime(at, formatLocale());
}
