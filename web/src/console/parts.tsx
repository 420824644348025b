/** Small things the console's pages share: a button that asks twice, the word LIVE, complaints, labelled fields. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { CardFacts, ShowFacts } from "../shared/protocol";
import { t } from "../shared/i18n";
import { IconButton, toast } from "../shared/ui";

const ARMED_MS = 4_000;

/**
 * A button for what cannot be taken back: the first tap changes its words, the second, within four seconds, acts.
 * No dialog opens, and nothing else moves.
 */
export function TwoStep(props: {
  label: string;
  sure: string;
  onSure: () => void;
  class?: string;
  disabled?: boolean;
  armed?: boolean;
}): JSX.Element {
  const [armed, setArmed] = useState(false);
  useEffect(() => setArmed(!!props.armed), [props.armed]);
  useEffect(() => {
    if (!armed) return;
    const timer = setTimeout(() => setArmed(false), ARMED_MS);
    return () => clearTimeout(timer);
  }, [armed]);
  const tapped = (): void => {
    if (armed) props.onSure();
    setArmed(!armed);
  };
  return (
    <button
      type="button"
      class={`button ${props.class ?? "button-quiet"} ${armed ? "armed" : ""}`}
      disabled={props.disabled}
      onClick={tapped}
    >
      <span aria-live="polite">{armed ? props.sure : props.label}</span>
    </button>
  );
}

export function Status({ status }: { status: ShowFacts["status"] }): JSX.Element {
  return <span class={`status status-${status}`}>{t(`console.status_${status}`)}</span>;
}

/** What a viewer writes to claim this card. */
export function Code({ card }: { card: Pick<CardFacts, "code" | "deals"> }): JSX.Element | null {
  if (!card.code || card.deals.length === 0) return null;
  return (
    <span class="claim-code" title={t("console.code_is", { code: card.code })}>
      <span class="sr-only">{t("console.code")}</span> {card.code}
    </span>
  );
}

export function Complaint({ text }: { text: string }): JSX.Element | null {
  return text ? (
    <p class="complaint" role="alert">
      {text}
    </p>
  ) : null;
}

/** A label with its field and, under it, what to know about it. */
export function Field(props: {
  label: string;
  help?: string;
  children: ComponentChildren;
  wide?: boolean;
}): JSX.Element {
  return (
    <label class={`labelled ${props.wide ? "labelled-wide" : ""}`}>
      <span class="labelled-name">{props.label}</span>
      {props.children}
      {props.help && <span class="labelled-help">{props.help}</span>}
    </label>
  );
}

/** Something to be pasted elsewhere. A `secret` is hidden until it is wanted. */
export function CopyLine({ text, label, secret }: { text: string; label: string; secret?: boolean }): JSX.Element {
  const [shown, setShown] = useState(!secret);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      toast(t("console.copied"), "good");
    } catch {
      setShown(true);
      toast(t("console.copy_by_hand"));
    }
  };
  return (
    <p class="copy-line">
      <input
        class="input"
        readOnly
        type={(shown ? "text" : "password") as "text"}
        autocomplete="off"
        value={text}
        aria-label={label}
        onFocus={(event) => {
          setShown(true);
          event.currentTarget.select();
        }}
      />
      <IconButton icon="link" label={`${t("console.copy")}: ${label}`} onClick={() => void copy()} />
    </p>
  );
}
