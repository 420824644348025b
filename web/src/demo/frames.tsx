/**
 * The three frames. On a wide screen all stand side by side, drawn at their own size and scaled to fit; on a phone they
 * are tabs that can be swiped. A frame is loaded once and never again: turning tabs does not lose its place.
 */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Signal } from "@preact/signals";
import { locale, t } from "../shared/i18n";
import { frameUrl, type Arrival, type Stage } from "./stage";
import type { Frame } from "./story";

const ORDER: readonly Frame[] = ["you", "rival", "host"];
/** The size at which each page is drawn before it is scaled, CSS pixels. */
const DRAWN: Record<Frame, { width: number; height: number }> = {
  you: { width: 390, height: 844 },
  rival: { width: 390, height: 844 },
  host: { width: 1080, height: 860 },
};
const NARROW = "(max-width: 899px)";

interface Props {
  stage: Stage;
  arrival: Arrival;
  tab: Signal<Frame>;
  spokenOf: Frame | null;
}

export function Frames({ stage, arrival, tab, spokenOf }: Props): JSX.Element {
  const narrow = useMedia(NARROW);
  const strip = useRef<HTMLDivElement>(null);
  const [lang] = useState(locale.value);

  const turnTo = (frame: Frame): void => {
    tab.value = frame;
    strip.current?.scrollTo({ left: ORDER.indexOf(frame) * strip.current.clientWidth, behavior: "smooth" });
  };
  const swiped = (): void => {
    const element = strip.current;
    if (!narrow || !element) return;
    const frame = ORDER[Math.round(element.scrollLeft / Math.max(1, element.clientWidth))];
    if (frame && frame !== tab.value) tab.value = frame;
  };

  return (
    <section class="frames" aria-label={t("demo.frames")}>
      {narrow && <Tabs tab={tab.value} spokenOf={spokenOf} onTurn={turnTo} />}
      <div
        class="frames-strip"
        ref={strip}
        onScroll={swiped}
        role="group"
        aria-label={t("demo.frames")}
        tabIndex={narrow ? 0 : undefined}
      >
        {ORDER.map((frame) => (
          <Device
            key={frame}
            frame={frame}
            url={frameUrl(arrival, frame, lang)}
            spokenOf={spokenOf === frame}
            narrow={narrow}
            away={stage.recovery.value.phase === "down"}
          />
        ))}
      </div>
    </section>
  );
}

function Tabs({
  tab,
  spokenOf,
  onTurn,
}: {
  tab: Frame;
  spokenOf: Frame | null;
  onTurn: (frame: Frame) => void;
}): JSX.Element {
  const step = (event: KeyboardEvent): void => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    const next = ORDER[ORDER.indexOf(tab) + by];
    if (!by || !next) return;
    onTurn(next);
    document.getElementById(`tab-${next}`)?.focus();
  };
  return (
    <div class="frames-tabs" role="tablist" aria-label={t("demo.frames")} onKeyDown={step}>
      {ORDER.map((frame) => (
        <button
          key={frame}
          type="button"
          role="tab"
          id={`tab-${frame}`}
          aria-selected={tab === frame}
          aria-controls={`frame-${frame}`}
          tabIndex={tab === frame ? 0 : -1}
          class={spokenOf === frame && tab !== frame ? "look" : ""}
          onClick={() => onTurn(frame)}
        >
          {t(`demo.frame_${frame}`)}
          {spokenOf === frame && tab !== frame && <span class="sr-only">{t("demo.look_here")}</span>}
        </button>
      ))}
    </div>
  );
}

function Device(props: { frame: Frame; url: string; spokenOf: boolean; narrow: boolean; away: boolean }): JSX.Element {
  const { frame, url, spokenOf, narrow, away } = props;
  const box = useRef<HTMLDivElement>(null);
  const scale = useScale(box, frame, narrow);
  const { width, height } = DRAWN[frame];
  const drawn = narrow ? {} : { inlineSize: `${width}px`, blockSize: `${height}px`, transform: `scale(${scale})` };
  const fitted = narrow ? {} : { inlineSize: `${width * scale}px`, blockSize: `${height * scale}px` };
  return (
    <figure
      id={`frame-${frame}`}
      class={`device device-${frame === "host" ? "desk" : "phone"} ${spokenOf ? "spoken-of" : ""}`}
    >
      <figcaption>
        <strong>{t(`demo.frame_${frame}`)}</strong>
        <span>{t(`demo.frame_${frame}_is`)}</span>
      </figcaption>
      <div class="device-room" ref={box}>
        <div class="device-body">
          <div class="device-screen" style={fitted}>
            <iframe
              name={`demo-${frame}`}
              title={t(`demo.frame_${frame}`)}
              src={url}
              style={drawn}
              allow="autoplay; fullscreen; clipboard-write"
            />
            {away && <p class="device-away">{t("demo.frame_away")}</p>}
          </div>
          {frame === "host" && <span class="device-foot" aria-hidden="true" />}
        </div>
      </div>
    </figure>
  );
}

/** How much a frame shrinks so that it fits the room it has. */
function useScale(box: { current: HTMLElement | null }, frame: Frame, narrow: boolean): number {
  const [scale, setScale] = useState(0.5);
  useEffect(() => {
    const element = box.current;
    if (narrow || !element) return;
    const bezel = frame === "host" ? { x: 20, y: 34 } : { x: 18, y: 18 };
    const fit = (): void => {
      const { width, height } = DRAWN[frame];
      const { paddingInlineStart, paddingInlineEnd } = getComputedStyle(element);
      const roomWidth = element.clientWidth - parseFloat(paddingInlineStart) - parseFloat(paddingInlineEnd) - bezel.x;
      setScale(Math.max(0.2, Math.min(1, roomWidth / width, (element.clientHeight - bezel.y) / height)));
    };
    fit();
    const observer = new ResizeObserver(fit);
    observer.observe(element);
    return () => observer.disconnect();
  }, [narrow, frame]);
  return scale;
}

function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const heard = (): void => setMatches(list.matches);
    list.addEventListener("change", heard);
    return () => list.removeEventListener("change", heard);
  }, [query]);
  return matches;
}
