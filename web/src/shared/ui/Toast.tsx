/** Short sentences that come and go. `bad` is spoken at once, the others when there is a pause. */
import { signal } from "@preact/signals";
import { Icon } from "./Icon";

export interface Toast {
  id: number;
  kind: "plain" | "good" | "bad";
  text: string;
}

const toasts = signal<readonly Toast[]>([]);
const SHOWN_MS = 5000;
const SHOWN_MAX = 3;
let lastId = 0;

export function toast(text: string, kind: Toast["kind"] = "plain"): void {
  const id = ++lastId;
  toasts.value = [...toasts.value.filter((one) => one.text !== text), { id, kind, text }].slice(-SHOWN_MAX);
  setTimeout(() => dismiss(id), SHOWN_MS);
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((one) => one.id !== id);
}

export function Toasts() {
  return (
    <div class="toasts">
      {toasts.value.map((one) => (
        <div key={one.id} class={`toast toast-${one.kind}`} role={one.kind === "bad" ? "alert" : "status"}>
          <Icon name={one.kind === "bad" ? "alert" : one.kind === "good" ? "check" : "info"} size={18} />
          <span>{one.text}</span>
          <button type="button" class="toast-close" onClick={() => dismiss(one.id)} aria-label="×">
            <Icon name="close" size={16} />
          </button>
        </div>
      ))}
    </div>
  );
}
