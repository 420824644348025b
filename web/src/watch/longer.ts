/**
 * Says that what she holds ends later than she knew: the host kept it longer, by a break of the show. What arrives: the
 * room before and after each message. What leaves: one sentence. It does not know why.
 */
import { t } from "../shared/i18n";
import type { Hold, ToViewer } from "../shared/protocol";
import { toast } from "../shared/ui";
import { onEveryMessage, room } from "./room";

let known: Readonly<Record<string, Hold>> = room.value.holds;

/** By how many seconds a hold became longer while nothing else of it changed; 0 for anything else. */
export function longerBy(was: Hold | undefined, now: Hold): number {
  if (was?.state !== now.state || (now.state !== "held" && now.state !== "offered")) return 0;
  return Math.max(0, Math.round(((now.due_at_ms ?? 0) - (was.due_at_ms ?? 0)) / 1000));
}

onEveryMessage((message: ToViewer) => {
  const before = known;
  known = room.value.holds;
  if (message.t !== "own" || !message.hold) return;
  const seconds = longerBy(before[message.hold.rid], message.hold);
  if (seconds > 0) toast(t("hold.longer", { seconds }), "good");
});
