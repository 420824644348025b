/** The private answers to her claims, as lines only she sees: what was understood, or why not and what she may do. */
import { useEffect } from "preact/hooks";
import { dealOf } from "../shared/fold";
import { refusalText, t } from "../shared/i18n";
import { Icon, IconButton } from "../shared/ui";
import { choose } from "./Card";
import { claimWords } from "./claims";
import { claims, forgetClaim, reserve, room, type ClaimNote } from "./room";
import { at } from "./words";

export function ClaimAnswers({ latest }: { latest?: boolean }) {
  const shown = latest ? claims.value.slice(-1) : claims.value;
  if (shown.length === 0) return null;
  return (
    <ul class="claims" aria-label={t("claim.title")}>
      {shown.map((note) => (
        <Answer key={note.answer.cid} note={note} />
      ))}
    </ul>
  );
}

function Answer({ note }: { note: ClaimNote }) {
  useEffect(() => {
    const found = note.answer.hold?.state === "held" ? dealOf(room.value, note.answer.lines[0]?.deal_id ?? "") : null;
    if (found) choose(found.card.card_id, found.deal.deal_id); // the card speaks of what she has
  }, [note.answer]);
  const words = claimWords(room.value, note.answer);
  const blanks = { ...words.blanks, ...(words.timeMs !== null ? { time: at(words.timeMs) } : {}) };
  return (
    <li class={`claim is-${words.tone}`} role={words.tone === "bad" ? "alert" : "status"}>
      <Icon name={words.tone === "good" ? "check" : "lock"} size={16} />
      <div class="claim-words">
        {note.said && (
          <span class="claim-said" dir="auto">
            {note.said}
          </span>
        )}
        <span dir="auto">
          {t(words.key, blanks)} {words.refusal && refusalText(note.answer)}
        </span>
        {words.next.length > 0 && (
          <span class="claim-next">
            {words.next.map((next) => (
              <button
                key={next.dealIds.join(" ")}
                type="button"
                class="claim-choice"
                onClick={() => {
                  forgetClaim(note.answer.cid);
                  reserve(next.dealIds, next.wait, next.qty);
                }}
              >
                {next.wait ? t("act.wait") : next.label}
              </button>
            ))}
          </span>
        )}
      </div>
      <IconButton icon="close" label={t("chat.forget")} class="claim-close" onClick={() => forgetClaim(note.answer.cid)} />
    </li>
  );
}
