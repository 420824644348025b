/**
 * The test provider's payment page: loudly no money, no card number, three answers to choose from. It stands in a sheet
 * of the viewer page or alone on a phone that scanned the code; what was pressed it tells its frame.
 */
import "../shared/tokens.css";
import "../shared/base.css";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, type Refusal } from "../shared/api";
import { formatLocale, refusalText, startI18n, t } from "../shared/i18n";
import { money } from "../shared/money";
import { serverClock } from "../shared/time";
import { Button, Countdown, EmptyState, Icon, type IconName } from "../shared/ui";
import "./pay.css";

interface PayPage {
  ref: string;
  shop_name: string;
  order_number: string;
  show_id: string;
  amount_minor: number;
  currency: string;
  state: "open" | "captured" | "declined" | "silent" | "late" | "revoked" | "refunded";
  order_status: string;
  pay_by_ms: number | null;
}

type Press = "pay" | "decline" | "silence";

const ref = decodeURIComponent(location.pathname.split("/").filter(Boolean).at(-1) ?? "");
const inFrame = window.parent !== window;

function Page() {
  const [page, setPage] = useState<PayPage | null>(null);
  const [refusal, setRefusal] = useState("");
  const [busy, setBusy] = useState<Press | "">("");
  const path = `/api/pay/test/${encodeURIComponent(ref)}`;

  useEffect(() => {
    api
      .get<PayPage>(path)
      .then(setPage)
      .catch((error: Refusal) => setRefusal(refusalText(error)));
  }, []);

  const press = async (what: Press): Promise<void> => {
    setBusy(what);
    setRefusal("");
    try {
      const answer = await api.post<{ page: PayPage }>(`${path}/${what}`);
      setPage(answer.page);
      if (inFrame) parent.postMessage({ source: "livecommerce.pay", pressed: what }, location.origin);
    } catch (error) {
      setRefusal(refusalText(error as Refusal));
    } finally {
      setBusy("");
    }
  };

  return (
    <div class={`pay ${inFrame ? "is-framed" : ""}`}>
      <p class="pay-banner" role="note">
        <Icon name="alert" size={20} /> {t("pay_page.banner")}
      </p>
      {page ? (
        <Bill page={page} busy={busy} onPress={(what) => void press(what)} />
      ) : (
        !refusal && <p class="muted pay-loading">{t("pay_page.loading")}</p>
      )}
      {refusal &&
        (page ? (
          <p class="field-error" role="alert">
            {refusal}
          </p>
        ) : (
          <EmptyState icon="card" title={t("pay_page.none")}>
            {refusal}
          </EmptyState>
        ))}
    </div>
  );
}

function Bill({ page, busy, onPress }: { page: PayPage; busy: Press | ""; onPress: (what: Press) => void }) {
  const open = page.state === "open" || page.state === "silent" || page.state === "late";
  return (
    <>
      <header class="pay-head">
        <p class="muted" dir="auto">
          {page.shop_name} · {t("pay_page.order", { number: page.order_number })}
        </p>
        <h1 class="pay-amount display tabular">{money(page.amount_minor, page.currency, formatLocale())}</h1>
        {open && page.pay_by_ms !== null && page.pay_by_ms > serverClock.now() && (
          <p class="pay-clock tabular">
            <Icon name="clock" size={17} /> {t("pay_page.time_left")} <Countdown toMs={page.pay_by_ms} />
          </p>
        )}
      </header>
      {page.state !== "open" && <Outcome state={page.state} />}
      {open && (
        <div class="pay-acts">
          <Button wide size="l" icon="check" busy={busy === "pay"} disabled={busy !== ""} onClick={() => onPress("pay")}>
            {t("pay_page.pay")}
          </Button>
          <Button wide kind="danger" icon="close" busy={busy === "decline"} disabled={busy !== ""} onClick={() => onPress("decline")}>
            {t("pay_page.decline")}
          </Button>
          {page.state === "open" && (
            <Button wide kind="quiet" icon="clock" busy={busy === "silence"} disabled={busy !== ""} onClick={() => onPress("silence")}>
              {t("pay_page.silence")}
            </Button>
          )}
          <p class="field-hint">{t("pay_page.hint")}</p>
        </div>
      )}
      {!open && !inFrame && page.show_id && (
        <a class="button button-soft button-m button-wide" href={`/watch/${encodeURIComponent(page.show_id)}`}>
          {t("pay_page.back")}
        </a>
      )}
    </>
  );
}

const OUTCOMES: Record<Exclude<PayPage["state"], "open">, { icon: IconName; tone: string }> = {
  captured: { icon: "check", tone: "good" },
  declined: { icon: "alert", tone: "bad" },
  silent: { icon: "clock", tone: "warn" },
  late: { icon: "clock", tone: "warn" },
  revoked: { icon: "lock", tone: "bad" },
  refunded: { icon: "refresh", tone: "good" },
};

function Outcome({ state }: { state: Exclude<PayPage["state"], "open"> }) {
  const { icon, tone } = OUTCOMES[state];
  return (
    <div class={`pay-outcome is-${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <Icon name={icon} size={24} />
      <div>
        <h2>{t(`pay_page.${state}`)}</h2>
        <p>{t(`pay_page.${state}_text`)}</p>
      </div>
    </div>
  );
}

async function start(): Promise<void> {
  await startI18n("pay");
  document.title = t("pay_page.title");
  render(<Page />, document.getElementById("main") as HTMLElement);
}

void start();
