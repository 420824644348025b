/** One show being prepared: its facts, its rundown, whom it is shared with. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Refusal } from "../../shared/api";
import { formatLocale, refusalText, t } from "../../shared/i18n";
import { dayAndTime } from "../../shared/time";
import { Button, EmptyState, Sheet, toast, Toasts } from "../../shared/ui";
import { Complaint, Status } from "../parts";
import { moved } from "../rundown";
import { addCard, changeShow, orderCards, removeCard, showOf, type StaffShow } from "../server";
import { Masthead } from "../shows/page";
import { CardComposer } from "./card";
import { ClaimsPanel } from "./claims";
import { ShowForm } from "./form";
import { OffersPanel } from "./offers";
import { RundownEditor } from "./rundown";
import { SharePanel } from "./share";

export function EditorPage({ showId }: { showId: string }): JSX.Element {
  const [show, setShow] = useState<StaffShow | null>(null);
  const [trouble, setTrouble] = useState("");
  const [composing, setComposing] = useState(false);
  const [facts, setFacts] = useState(false);

  const load = async (): Promise<void> => {
    try {
      setShow(await showOf(showId));
      setTrouble("");
    } catch (error) {
      setTrouble(said(error));
    }
  };
  useEffect(() => void load(), [showId]);

  /** Do something to the show, then read it again: what stands here is what the server has. */
  const change = async (act: () => Promise<unknown>): Promise<void> => {
    try {
      await act();
    } catch (error) {
      toast(said(error), "bad");
    }
    await load();
  };

  const move = (index: number, by: number): void => {
    if (!show) return;
    const cards = moved(show.cards, index, by);
    setShow({ ...show, cards });
    void change(() =>
      orderCards(
        showId,
        cards.map((card) => card.card_id),
      ),
    );
  };

  if (!show)
    return (
      <div class="console">
        <Masthead staff={null} />
        {trouble ? (
          <EmptyState icon="alert" title={t("console.show_trouble")}>
            <p>{trouble}</p>
            <a class="button button-quiet" href="/console">
              {t("console.all_shows")}
            </a>
          </EmptyState>
        ) : (
          <div class="bone bone-list" aria-busy="true" />
        )}
      </div>
    );

  const { show: showFacts, cards } = show;
  return (
    <div class="console">
      <Masthead staff={null} />
      <div class="console-head">
        <div>
          <p class="crumbs">
            <a href="/console">{t("console.shows")}</a> / {t(`console.corner_${showFacts.corner}`)}
          </p>
          <h1>{showFacts.title}</h1>
          <p class="muted show-when">
            <Status status={showFacts.status} />
            <span>
              {showFacts.scheduled_at_ms === null
                ? t("console.no_date")
                : dayAndTime(showFacts.scheduled_at_ms, formatLocale())}
            </span>
            <span>· {showFacts.host_name}</span>
          </p>
        </div>
        <div class="row">
          <Button kind="quiet" onClick={() => setFacts(true)}>
            {t("console.edit_facts")}
          </Button>
          <a class="button button-primary" href={`/console/shows/${encodeURIComponent(showId)}`}>
            {t("console.open_desk")}
          </a>
        </div>
      </div>
      <div class="editor">
        <section class="panel editor-rundown" aria-labelledby="editor-rundown">
          <header class="panel-head">
            <h2 id="editor-rundown">{t("console.rundown")}</h2>
            <Button icon="plus" kind="soft" onClick={() => setComposing(true)}>
              {t("console.add_card")}
            </Button>
          </header>
          <RundownEditor
            cards={cards}
            onMove={move}
            onRemove={(card) => void change(() => removeCard(showId, card.card_id))}
            onAdd={() => setComposing(true)}
          />
        </section>
        <SharePanel showId={showId} access={showFacts.access} />
      </div>
      <div class="editor-more">
        <OffersPanel showId={showId} cards={cards} />
        <ClaimsPanel showId={showId} rules={showFacts.claims} cards={cards} onSaved={load} />
      </div>
      <Sheet
        open={facts}
        title={t("console.edit_facts")}
        shape="full"
        class="sheet-form"
        onClose={() => setFacts(false)}
      >
        <ShowForm
          show={showFacts}
          submit={t("console.save")}
          onSubmit={async ({ corner: _corner, ...draft }) => {
            await changeShow(showId, draft);
            setFacts(false);
            toast(t("console.saved"), "good");
            await load();
          }}
        />
      </Sheet>
      <Sheet
        open={composing}
        title={t("console.add_card")}
        shape="full"
        class="sheet-form"
        onClose={() => setComposing(false)}
      >
        <CardComposer
          launches={showFacts.corner === "new_product_day"}
          onAdd={async (card) => {
            await addCard(showId, card);
            setComposing(false);
            toast(t("console.card_added"), "good");
            await load();
          }}
        />
      </Sheet>
      <Complaint text={trouble} />
      <Toasts />
    </div>
  );
}

function said(error: unknown): string {
  return error instanceof Refusal ? refusalText(error) : String(error);
}
