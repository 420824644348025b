/** The replay of one show, by the address. Wires; draws nothing itself, except why there is nothing to draw. */
import { render } from "preact";
import "../shared/tokens.css";
import "../shared/base.css";
import "../shared/ui";
import "./replay.css";
import { api, Refusal } from "../shared/api";
import { refusalText, startI18n, t } from "../shared/i18n";
import { REFUSAL } from "../shared/protocol";
import { EmptyState } from "../shared/ui";
import { loadShop, shop } from "../shop/server";
import { ReplayPage, type ReplayFacts } from "./page";

const showId = /^\/replay\/([^/]+)/.exec(location.pathname)?.[1] ?? "";
const shopLoaded = loadShop().then(
  () => shop.value.locale,
  () => "",
);
await startI18n("replay", shopLoaded);
await shopLoaded;
const main = document.getElementById("main")!;

try {
  const replay = await api.get<ReplayFacts>(`/api/shows/${encodeURIComponent(decodeURIComponent(showId))}/replay`);
  document.title = replay.show.title;
  render(<ReplayPage replay={replay} />, main);
} catch (error) {
  const refusal = error instanceof Refusal ? error : Refusal.unreachable();
  if (refusal.number === REFUSAL.WRONG_STATE) location.replace(`/watch/${showId}`);
  else
    render(
      <EmptyState icon="video" title={t("replay.none")}>
        <p>{refusalText(refusal)}</p>
        <a class="button button-primary button-m" href="/shows">
          {t("replay.shows")}
        </a>
      </EmptyState>,
      main,
    );
}
