/** The console: the list of shows, the editor of one, or its live desk, by the address. Wires; draws nothing itself. */
import { render } from "preact";
import "../shared/tokens.css";
import "../shared/base.css";
import "../shared/ui";
import "./console.css";
import "./live/live.css";
import "./live/moderation.css";
import { Refusal } from "../shared/api";
import { startI18n, t, withArea } from "../shared/i18n";
import { CounterPage } from "./counter/page";
import { EditorPage } from "./editor/page";
import { LivePage } from "./live/page";
import { loadShop, me } from "./server";
import { startSession } from "./session";
import { ShowsPage } from "./shows/page";

withArea("moderation");
withArea("source");
withArea("captions");
withArea("filming");
await startI18n("console");
document.title = t("console.title");
document.body.classList.add(location.pathname.includes("/shows/") ? "is-show" : "is-list");

async function signedIn(): Promise<boolean> {
  try {
    await startSession();
    await loadShop();
    return (await me()).staff !== null;
  } catch (error) {
    // Away is not signed out: the page itself says that the line is down and tries again.
    return error instanceof Refusal && error.again;
  }
}

if (await signedIn()) render(<Console />, document.getElementById("main")!);
else location.replace(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);

function Console() {
  if (location.pathname === "/console/counter") return <CounterPage />;
  const showId = /^\/console\/shows\/([^/]+)/.exec(location.pathname)?.[1];
  if (!showId) return <ShowsPage />;
  const id = decodeURIComponent(showId);
  return new URLSearchParams(location.search).has("edit") ? <EditorPage showId={id} /> : <LivePage showId={id} />;
}
