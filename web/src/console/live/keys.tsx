/** The keyboard map, on "?". */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../../shared/i18n";
import { BINDINGS } from "../keymap";

export function KeysHelp({ open, onClose }: { open: boolean; onClose: () => void }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open) dialog.current?.show();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog class="keys" ref={dialog} aria-labelledby="keys-title" onClose={onClose}>
      <header>
        <h2 id="keys-title">{t("console.keys")}</h2>
        <button type="button" class="button button-quiet button-small" onClick={onClose}>
          {t("console.close")}
        </button>
      </header>
      <dl>
        {BINDINGS.map((binding) => (
          <div key={binding.keys}>
            <dt>
              <kbd>{binding.keys}</kbd>
            </dt>
            <dd>{t(binding.says)}</dd>
          </div>
        ))}
      </dl>
      <p class="muted">{t("console.keys_hint")}</p>
    </dialog>
  );
}
