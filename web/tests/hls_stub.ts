/** hls.js as the players see it: what they asked of it, and what they are told by hand. A test file mocks the module by it. */
import { vi } from "vitest";

type Told = (name: string, error?: unknown) => void;

export class StubHls {
  static isSupported = (): boolean => StubHls.supported;
  static supported = true;
  static readonly Events = { FRAG_BUFFERED: "buffered", ERROR: "error", LEVEL_LOADED: "level" };
  static readonly ErrorTypes = { MEDIA_ERROR: "media", NETWORK_ERROR: "network" };
  static made: StubHls[] = [];

  readonly loaded: string[] = [];
  readonly recoverMediaError = vi.fn();
  readonly destroy = vi.fn();
  readonly attachMedia = vi.fn();
  levels: unknown[] = [];
  playingDate: Date | null = null;
  liveSyncPosition: number | null = null;
  latency = 0;
  private readonly ears = new Map<string, Told>();

  constructor(readonly config: Record<string, unknown>) {
    StubHls.made.push(this);
  }

  loadSource = (url: string): void => void this.loaded.push(url);
  on = (name: string, told: Told): void => void this.ears.set(name, told);

  tell(name: keyof typeof StubHls.Events, error?: { fatal: boolean; type: string }): void {
    const event = StubHls.Events[name];
    this.ears.get(event)?.(event, error);
  }
}

export const DEAD = { fatal: true, type: StubHls.ErrorTypes.NETWORK_ERROR };
export const BROKEN = { fatal: true, type: StubHls.ErrorTypes.MEDIA_ERROR };

/** The newest one that a player made. */
export const made = (): StubHls => StubHls.made.at(-1)!;

/** As much of a video element as players touch. `startMs`: what an Apple browser tells of a dated playlist. */
export class StubVideo extends EventTarget {
  currentTime = 0;
  src = "";
  seekable = { length: 1, end: () => 60 };
  readonly play = vi.fn(() => Promise.resolve());
  getStartDate?: () => Date;

  constructor(startMs?: number) {
    super();
    if (startMs !== undefined) this.getStartDate = () => new Date(startMs);
  }

  removeAttribute = (): void => void (this.src = "");

  get element(): HTMLVideoElement {
    return this as unknown as HTMLVideoElement;
  }
}
