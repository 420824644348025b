/** Time to an instant on the server's clock. It is never spoken second by second. */
import { useEffect } from "preact/hooks";
import { clockText, nowMs, watchTime } from "../time";

/** Re-draws its caller four times a second and gives the server's time. */
export function useNowMs(): number {
  useEffect(() => watchTime(), []);
  return nowMs.value;
}

export function Countdown({ toMs, class: extra = "" }: { toMs: number; class?: string }) {
  const leftMs = toMs - useNowMs();
  return (
    <span class={`countdown tabular ${leftMs < 30_000 ? "is-late" : ""} ${extra}`} role="timer" aria-live="off">
      {clockText(leftMs)}
    </span>
  );
}

/** The same as a ring that empties; `wholeMs` is the time the ring stood full at. */
export function CountdownRing({ toMs, wholeMs, size = 44 }: { toMs: number; wholeMs: number; size?: number }) {
  const leftMs = Math.max(0, toMs - useNowMs());
  const share = wholeMs > 0 ? Math.min(1, leftMs / wholeMs) : 0;
  return (
    <span class="ring" style={{ inlineSize: `${size}px`, blockSize: `${size}px` }} role="timer" aria-live="off">
      <svg viewBox="0 0 40 40" aria-hidden="true">
        <circle cx="20" cy="20" r="17.5" class="ring-track" />
        <circle cx="20" cy="20" r="17.5" class="ring-rest" pathLength="1" stroke-dasharray={`${share} 1`} />
      </svg>
      <span class="ring-words tabular">{clockText(leftMs)}</span>
    </span>
  );
}
