/** Alerts as sentences, and the note at the bottom that can be undone. Neither takes the focus nor stops anything. */
import type { JSX } from "preact";
import { t } from "../../shared/i18n";
import { UNDO_MS, type Desk } from "../desk";

export function AlertStrip({ desk }: { desk: Desk }): JSX.Element {
  const alerts = desk.alerts.value;
  return (
    <section class="desk-alerts" aria-label={t("console.alerts")} aria-live="polite">
      {alerts.length === 0 && <p class="alerts-none muted">{t("console.alerts_none")}</p>}
      {alerts.map((alert) => (
        <p key={alert.id} class={`alert alert-${alert.tone}`}>
          <span>{t(alert.says, alert.params)}</span>
          <button type="button" aria-label={t("console.dismiss")} onClick={() => desk.dismiss(alert.id)}>
            ×
          </button>
        </p>
      ))}
    </section>
  );
}

export function Toasts({ desk }: { desk: Desk }): JSX.Element {
  const toast = desk.toast.value;
  return (
    <div class="undo-toasts" role="status">
      {toast && (
        <p key={toast.id} class={`undo-toast undo-toast-${toast.tone}`} style={{ "--life": `${UNDO_MS}ms` }}>
          <span>{t(toast.says, toast.params)}</span>
          {toast.undo && (
            <button type="button" onClick={() => desk.undo()} aria-keyshortcuts="Control+Z">
              {t("console.undo")}
            </button>
          )}
          <span class="undo-toast-life" aria-hidden="true" />
        </p>
      )}
    </div>
  );
}
