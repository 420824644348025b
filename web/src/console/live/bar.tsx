/** The action bar: everything a host does besides the next card, one tap each; what cannot be undone asks twice. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../../shared/i18n";
import { Sheet } from "../../shared/ui";
import type { CardFacts } from "../../shared/protocol";
import { openDeals, pullable, type Desk } from "../desk";
import { TwoStep } from "../parts";

const SLOW_STEPS = [0, 10, 30, 60] as const;
const PROMISES = ["mini", "gift_box", "delivery", "double_points"] as const;

export function ActionBar({ desk, seconds }: { desk: Desk; seconds: number }): JSX.Element {
  const status = desk.status.value;
  const running = status === "live" || status === "interrupted";
  const now = desk.now.value;
  const open = openDeals(now);
  const canCount =
    running && ((now?.deals.some((deal) => deal.status === "draft") ?? false) || !!desk.next.value?.deals.length);
  return (
    <div class="desk-bar" role="toolbar" aria-label={t("console.actions")}>
      <button
        type="button"
        class="button button-quiet"
        disabled={!running || !now}
        onClick={() => void desk.hideCard()}
      >
        {t("console.hide_card")} <kbd>H</kbd>
      </button>
      <button
        type="button"
        class="button button-quiet"
        disabled={!canCount}
        onClick={() => void desk.countdown(seconds)}
      >
        {t("console.countdown", { seconds })} <kbd>C</kbd>
      </button>
      <TwoStep
        label={t("console.close_deal")}
        sure={t("console.close_deal_sure")}
        disabled={!running || open.length === 0}
        onSure={() => void desk.closeDeals()}
      />
      <Pull desk={desk} card={running ? now : undefined} />
      <Menu label={t("console.promise")} disabled={!running || !now}>
        {(close) =>
          PROMISES.map((preset) => (
            <button
              key={preset}
              type="button"
              role="menuitem"
              onClick={() => {
                close();
                if (now)
                  void desk.command({ do: "promise", card_id: now.card_id, text: t(`console.promise_${preset}`) });
              }}
            >
              {t(`console.promise_${preset}`)}
            </button>
          ))
        }
      </Menu>
      <Menu
        label={
          desk.room.value.slowSeconds
            ? t("console.slow_on", { seconds: desk.room.value.slowSeconds })
            : t("console.slow_mode")
        }
        on={desk.room.value.slowSeconds > 0}
        disabled={!running}
      >
        {(close) =>
          SLOW_STEPS.map((step) => (
            <button
              key={step}
              type="button"
              role="menuitemradio"
              aria-checked={desk.room.value.slowSeconds === step}
              onClick={() => {
                close();
                void desk.command({ do: "slow_mode", seconds: step });
              }}
            >
              {step === 0 ? t("console.slow_off") : t("console.slow_step", { seconds: step })}
            </button>
          ))
        }
      </Menu>
      <button
        type="button"
        class={`button button-quiet break ${status === "interrupted" ? "on" : ""}`}
        disabled={!running}
        onClick={() => void desk.pause(t("console.back_soon"))}
      >
        {t(status === "interrupted" ? "console.back_on_air" : "console.be_right_back")} <kbd>B</kbd>
      </button>
    </div>
  );
}

/** Pulling a deal: one button, one question. New holds stop with either answer; a host in a hurry taps twice. */
function Pull({ desk, card }: { desk: Desk; card: CardFacts | undefined }): JSX.Element {
  const [asked, setAsked] = useState<CardFacts | null>(null);
  const deals = pullable(asked ?? card, (deal) => desk.numbers(deal));
  const held = deals.reduce((sum, deal) => sum + desk.numbers(deal).held + desk.numbers(deal).paying, 0);
  const pull = (holds: "honour" | "cancel"): void => {
    void desk.pullDeals(asked ?? undefined, holds);
    setAsked(null);
  };
  return (
    <>
      <button
        type="button"
        class="button button-danger"
        aria-haspopup="dialog"
        disabled={deals.length === 0}
        onClick={() => setAsked(card ?? null)}
      >
        {t("console.pull_deal")}
      </button>
      <Sheet open={asked !== null} title={t("console.pull_title")} onClose={() => setAsked(null)} shape="centre">
        <p>{t("console.pull_holds", { count: held })}</p>
        <div class="pull-choices">
          <button type="button" class="button button-quiet pull-choice" onClick={() => pull("honour")}>
            <strong>{t("console.pull_honour")}</strong>
            <span>{t("console.pull_honour_is")}</span>
          </button>
          <button type="button" class="button button-danger pull-choice" onClick={() => pull("cancel")}>
            <strong>{t("console.pull_cancel")}</strong>
            <span>{t("console.pull_cancel_is")}</span>
          </button>
        </div>
      </Sheet>
    </>
  );
}

function Menu(props: {
  label: string;
  disabled?: boolean;
  on?: boolean;
  children: (close: () => void) => JSX.Element[];
}): JSX.Element {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    box.current?.querySelector<HTMLElement>("[role^=menuitem]")?.focus();
    const away = (event: Event): void => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", away);
    return () => document.removeEventListener("pointerdown", away);
  }, [open]);
  const close = (): void => {
    setOpen(false);
    box.current?.querySelector("button")?.focus();
  };
  const moved = (event: KeyboardEvent): void => {
    if (event.key === "Escape") return close();
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!by) return;
    event.preventDefault();
    const items = [...(box.current?.querySelectorAll<HTMLElement>("[role^=menuitem]") ?? [])];
    items[(items.indexOf(document.activeElement as HTMLElement) + by + items.length) % items.length]?.focus();
  };
  return (
    <div class="menu" ref={box} onKeyDown={moved}>
      <button
        type="button"
        class={`button button-quiet ${props.on ? "on" : ""}`}
        aria-haspopup="menu"
        aria-expanded={open}
        disabled={props.disabled}
        onClick={() => setOpen(!open)}
      >
        {props.label} <span aria-hidden="true">▴</span>
      </button>
      {open && (
        <div class="menu-items" role="menu" aria-label={props.label}>
          {props.children(close)}
        </div>
      )}
    </div>
  );
}
