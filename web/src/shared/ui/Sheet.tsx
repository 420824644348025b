/**
 * A sheet over the page: from below on a phone, a panel at the side or in the middle on a desk. It keeps the focus
 * inside while it is open, gives it back when it goes, and closes by Escape, the backdrop, a pull or its button.
 */
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { t } from "../i18n";
import { IconButton } from "./Button";

export interface SheetProps {
  open: boolean;
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  /** Stands under the content and stays in sight. */
  footer?: ComponentChildren;
  /** `half` leaves the picture in sight; `full` is for forms; `centre` for short questions. */
  shape?: "half" | "full" | "centre";
  class?: string;
}

const PULL_TO_CLOSE_PX = 90;

export function Sheet({ open, ...rest }: SheetProps) {
  return open ? <OpenSheet {...rest} /> : null;
}

function OpenSheet({ title, onClose, children, footer, shape = "half", class: extra = "" }: Omit<SheetProps, "open">) {
  const panel = useRef<HTMLDivElement>(null);
  const titleId = useId();
  useFocusInside(panel);
  const pull = usePull(panel, onClose);
  return (
    <div class={`sheet-layer sheet-${shape}`} onClick={(event) => event.target === event.currentTarget && onClose()}>
      <div
        ref={panel}
        class={`sheet ${extra}`}
        role="dialog"
        aria-modal="true"
        aria-labelledby={titleId}
        tabIndex={-1}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.stopPropagation();
          onClose();
        }}
      >
        <header class="sheet-head" {...pull}>
          <span class="sheet-grip" aria-hidden="true" />
          <h2 id={titleId}>{title}</h2>
          <IconButton icon="close" label={t("close")} onClick={onClose} />
        </header>
        <div class="sheet-body">{children}</div>
        {footer && <footer class="sheet-foot">{footer}</footer>}
      </div>
    </div>
  );
}

const FOCUSABLE = "a[href],button:not([disabled]),input:not([disabled]),select,textarea,iframe,[tabindex='0']";

function useFocusInside(panel: { current: HTMLElement | null }): void {
  // Before the sheet is painted: a key that is pressed as soon as it is seen must find the focus inside.
  useLayoutEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    panel.current?.focus({ preventScroll: true });
    const keepInside = (event: KeyboardEvent): void => {
      if (event.key !== "Tab" || !panel.current) return;
      const stops = [...panel.current.querySelectorAll<HTMLElement>(FOCUSABLE)].filter((one) => one.offsetParent);
      const first = stops[0];
      const last = stops.at(-1);
      const here = document.activeElement;
      if (!first || !last) return;
      if (event.shiftKey && (here === first || here === panel.current)) {
        event.preventDefault();
        last.focus();
      } else if (!event.shiftKey && here === last) {
        event.preventDefault();
        first.focus();
      }
    };
    document.addEventListener("keydown", keepInside);
    return () => {
      document.removeEventListener("keydown", keepInside);
      if (before?.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
}

function usePull(panel: { current: HTMLElement | null }, onClose: () => void) {
  const from = useRef<number | null>(null);
  const move = (event: PointerEvent): void => {
    if (from.current === null || !panel.current) return;
    panel.current.style.translate = `0 ${Math.max(0, event.clientY - from.current)}px`;
  };
  const end = (event: PointerEvent): void => {
    if (from.current === null || !panel.current) return;
    const pulled = event.clientY - from.current;
    from.current = null;
    panel.current.style.translate = "";
    if (pulled > PULL_TO_CLOSE_PX) onClose();
  };
  return {
    onPointerDown: (event: PointerEvent) => {
      if ((event.target as Element).closest("button")) return;
      from.current = event.clientY;
      (event.currentTarget as Element).setPointerCapture(event.pointerId);
    },
    onPointerMove: move,
    onPointerUp: end,
    onPointerCancel: end,
  };
}
