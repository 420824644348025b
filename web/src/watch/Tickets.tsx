/**
 * After the show: the signed lists of tickets, and her own line in each. What arrives: lists as the server signed them, and
 * the nonce that opens her own mark, which her page checks by itself. The signature is for tools that she trusts.
 */
import { useEffect, useState } from "preact/hooks";
import { api, type Refusal } from "../shared/api";
import { refusalText, t } from "../shared/i18n";
import { EmptyState } from "../shared/ui";
import { isHers, linesOf, type OwnMark, type Ticket } from "./marks";
import { place } from "./words";

interface Listed {
  deal_id: string;
  title: string;
  label: string;
}

interface SignedList {
  list: { tickets: Ticket[]; sold: number; quota: number };
}

interface Checked extends Listed {
  tickets: number;
  sold: number;
  quota: number;
  mine: Ticket[];
}

const AGAIN_MS = 3000;

export function TicketLists({ showId }: { showId: string }) {
  const [lists, setLists] = useState<readonly Checked[] | null>(null);
  const [wrong, setWrong] = useState("");
  const at = `/api/shows/${encodeURIComponent(showId)}/tickets`;
  const waits = lists === null || lists.length === 0;
  useEffect(() => {
    const look = (): void => void check(at).then(setLists, (refusal: Refusal) => setWrong(refusalText(refusal)));
    if (lists === null) look();
    // Signed a few seconds after nobody pays any more: it comes while she looks.
    const timer = waits ? setInterval(look, AGAIN_MS) : 0;
    return () => clearInterval(timer);
  }, [waits]);
  if (wrong) return <p role="alert">{wrong}</p>;
  if (lists === null) return <div class="bone" aria-busy="true" />;
  if (lists.length === 0) {
    return (
      <EmptyState icon="clock" title={t("tickets.none")}>
        {t("tickets.none_text")}
      </EmptyState>
    );
  }
  return (
    <div class="bag">
      <p class="muted">{t("tickets.about")}</p>
      {lists.map((one) => (
        <section class="bag-row bag-order" key={one.deal_id}>
          <div class="bag-words">
            <b dir="auto">{[one.title, one.label].filter(Boolean).join(" · ")}</b>
            <span class="muted tabular">{t("tickets.sum", { count: one.tickets, sold: one.sold, quota: one.quota })}</span>
            {one.mine.length === 0 && <span>{t("tickets.not_in")}</span>}
            {one.mine.map((ticket) => (
              <span key={ticket.ticket} class="tabular">
                {ownWords(ticket)}
              </span>
            ))}
            <div class="bag-acts">
              <a class="text-button" href={`${at}/${encodeURIComponent(one.deal_id)}`} download>
                {t("tickets.download")}
              </a>
            </div>
          </div>
        </section>
      ))}
    </div>
  );
}

async function check(at: string): Promise<Checked[]> {
  const { lists } = await api.get<{ lists: Listed[] }>(at);
  return Promise.all(
    lists.map(async (listed) => {
      const path = `${at}/${encodeURIComponent(listed.deal_id)}`;
      const [{ list }, own] = await Promise.all([api.get<SignedList>(path), api.get<OwnMark>(`${path}/mine`)]);
      const mine = (await isHers(own)) ? linesOf(list.tickets, own) : [];
      return { ...listed, tickets: list.tickets.length, sold: list.sold, quota: list.quota, mine };
    }),
  );
}

function ownWords(ticket: Ticket): string {
  const number = t("tickets.yours", { number: ticket.ticket });
  const drawn = ticket.place === null ? "" : t("tickets.drawn", { nth: place(ticket.place) });
  return [number, drawn, t(`tickets.${ticket.outcome}`)].filter(Boolean).join(" · ");
}
