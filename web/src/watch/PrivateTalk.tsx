/** What she asks her advisor in private: only the two of them read it. Asked for again whenever the line is back. */
import { effect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../shared/api";
import { withPrivate } from "../shared/fold";
import { t } from "../shared/i18n";
import type { PrivateQuestion } from "../shared/protocol";
import { Avatar, EmptyState, Icon } from "../shared/ui";
import { OwnRow } from "./Chat";
import { line, ownLines, privateNews, room } from "./room";

effect(() => {
  if (line.value.word === "open") void fetchAgain();
});

async function fetchAgain(): Promise<void> {
  const showId = room.peek().show?.show_id;
  if (!showId) return;
  const came = await api
    .get<{ questions: PrivateQuestion[] }>(`/api/shows/${encodeURIComponent(showId)}/private-questions`)
    .catch(() => null); // what was told over the line stays; the next time the line is back asks again
  if (!came) return;
  const known = room.value.privates;
  const fresh = came.questions.some((one) => one.answer && known.every((other) => other.answer !== one.answer));
  if (fresh) privateNews.value = true;
  room.value = { ...room.value, privates: came.questions.reduce(withPrivate, known) };
}

export function PrivateTalk() {
  const { privates, show } = room.value;
  const pending = ownLines.value.filter((one) => one.kind === "private");
  const advisor = privates.at(-1)?.advisor_name || show?.host_name || "";
  useEffect(() => {
    privateNews.value = false;
    if (privates.length) sessionStorage.setItem("lc.asked", show?.show_id ?? "");
  }, [privates]);
  if (privates.length + pending.length === 0) {
    return (
      <EmptyState icon="lock" title={t("private.empty", { name: advisor })}>
        {t("private.empty_text")}
      </EmptyState>
    );
  }
  return (
    <div class="lines privates" tabIndex={0}>
      <p class="privates-note">
        <Icon name="lock" size={14} /> {t("private.only", { name: advisor })}
      </p>
      <ul>
        {privates.map((one) => (
          <li key={one.question_id} class="private-pair">
            <p class="private-hers" dir="auto">
              {one.text}
            </p>
            {one.answer ? (
              <div class="private-answer">
                <Avatar name={one.advisor_name} size={28} />
                <p dir="auto">
                  <b class="line-name">{one.advisor_name}</b>
                  {one.answer}
                </p>
              </div>
            ) : (
              <p class="private-waits">{t("private.waits", { name: one.advisor_name })}</p>
            )}
          </li>
        ))}
        {pending.map((one) => (
          <OwnRow key={one.cid} own={one} />
        ))}
      </ul>
    </div>
  );
}
