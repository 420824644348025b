/** The camera page: who is here by a session or the code of a QR, then the camera. Wires; draws nothing itself. */
import { render } from "preact";
import "../shared/tokens.css";
import "../shared/base.css";
import "../shared/ui";
import "./camera.css";
import { loadShop, me } from "../console/server";
import { startSession } from "../console/session";
import { startI18n, t, withArea } from "../shared/i18n";
import { CameraPage } from "./page";

withArea("filming");
await startI18n("console");
await startI18n("camera");
document.title = t("camera.title");

const showId = decodeURIComponent(/^\/camera\/([^/]+)/.exec(location.pathname)?.[1] ?? "");

async function signedIn(): Promise<boolean> {
  try {
    await startSession();
    await loadShop();
    return (await me()).staff !== null;
  } catch {
    return false;
  }
}

if (await signedIn()) render(<CameraPage showId={showId} />, document.getElementById("main")!);
else location.replace(`/login?next=${encodeURIComponent(location.pathname)}`);
