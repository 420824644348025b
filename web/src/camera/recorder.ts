/**
 * A camera as epochs of chunks: one `MediaRecorder` after the other, a new one for every change that a running one
 * cannot take (a turned phone, another camera, another bitrate).
 *
 * What arrives: a stream and wishes. What leaves: `onBegin`, `onChunk`, `onFinish`, in order. It does not know lines.
 */
import { stillOf, type Still } from "./still";

/** The first that the browser can: H.264 goes to players as it is, the others cost the server a conversion. */
export const KINDS: readonly { mime: string; converted: boolean }[] = [
  { mime: "video/webm;codecs=h264,opus", converted: false },
  { mime: "video/mp4;codecs=avc1.42E01F,mp4a.40.2", converted: false },
  { mime: "video/mp4", converted: false },
  { mime: "video/webm;codecs=vp8,opus", converted: true },
];

/** Bits a second of the picture, from the best down; after the last there is only sound, beside a still. */
export const STEPS: readonly number[] = [2_500_000, 1_500_000, 800_000];
const STILL_BITS = 50_000;
const AUDIO_BITS = 96_000;
const SLICE_MS = 250;
const KEYFRAME_MS = 1000;

export function bestKind(can: (mime: string) => boolean): { mime: string; converted: boolean } | null {
  return KINDS.find((kind) => can(kind.mime)) ?? null;
}

export interface RecorderParts {
  now: () => number;
  onBegin: (mime: string, t0Ms: number) => void;
  onChunk: (data: ArrayBuffer) => void;
  onFinish: () => void;
  onTrouble: (error: Error) => void;
  MediaRecorder?: typeof MediaRecorder;
  still?: (camera: MediaStream) => Promise<Still>;
}

export class Recorder {
  private recorder: MediaRecorder | null = null;
  private stream: MediaStream | null = null;
  private still: Still | null = null;
  private turn: Promise<void> = Promise.resolve();
  private reading: Promise<void> = Promise.resolve();
  step = 0;
  private readonly Native: typeof MediaRecorder;
  private readonly stillOf: (camera: MediaStream) => Promise<Still>;

  constructor(private readonly parts: RecorderParts) {
    this.Native = parts.MediaRecorder ?? MediaRecorder;
    this.stillOf = parts.still ?? stillOf;
  }

  get running(): boolean {
    return this.recorder !== null;
  }

  get soundOnly(): boolean {
    return this.step >= STEPS.length;
  }

  /** Record this stream from now on, as a new epoch; what ran before ends first. */
  record(stream: MediaStream): Promise<void> {
    this.stream = stream;
    return this.then(() => this.start());
  }

  /** The same stream as a new epoch. */
  again(): Promise<void> {
    return this.then(() => (this.stream ? this.start() : undefined));
  }

  /** One step down in quality; false where there is none. */
  lower(): boolean {
    if (this.soundOnly || !this.running) return false;
    this.step += 1;
    void this.again();
    return true;
  }

  /** One step up again; false where it is the best already. */
  raise(): boolean {
    if (this.step === 0 || !this.running) return false;
    this.step -= 1;
    void this.again();
    return true;
  }

  stop(): Promise<void> {
    this.stream = null;
    return this.then(() => this.halt());
  }

  /** One change at a time: each waits for the one before. */
  private then(work: () => void | Promise<void>): Promise<void> {
    this.turn = this.turn.then(work).catch((error: unknown) => this.parts.onTrouble(error as Error));
    return this.turn;
  }

  private async start(): Promise<void> {
    await this.halt();
    const camera = this.stream;
    if (!camera) return; // it was stopped meanwhile
    const kind = bestKind((mime) => this.Native.isTypeSupported(mime))?.mime;
    if (!kind) throw new Error("no_recorder");
    this.still = this.soundOnly ? await this.stillOf(camera) : null;
    const stream = this.still?.stream ?? camera;
    const options = {
      mimeType: kind,
      videoBitsPerSecond: STEPS[this.step] ?? STILL_BITS,
      audioBitsPerSecond: AUDIO_BITS,
      videoKeyFrameIntervalDuration: KEYFRAME_MS,
    };
    const recorder = new this.Native(stream, options as MediaRecorderOptions);
    recorder.ondataavailable = (event) => this.read(event.data);
    recorder.onerror = () => void this.again();
    const started = new Promise<void>((resolve) => (recorder.onstart = () => resolve()));
    recorder.start(SLICE_MS);
    await started;
    this.parts.onBegin(recorder.mimeType || kind, this.parts.now());
    this.recorder = recorder;
  }

  private async halt(): Promise<void> {
    const recorder = this.recorder;
    this.recorder = null;
    if (!recorder) return;
    if (recorder.state !== "inactive") {
      const stopped = new Promise<void>((resolve) => (recorder.onstop = () => resolve()));
      recorder.stop();
      await stopped;
    }
    this.still?.stop();
    this.still = null;
    await this.reading;
    this.parts.onFinish();
  }

  /** Blobs are read one after the other, so that chunks keep their order. */
  private read(blob: Blob): void {
    if (!blob.size) return;
    this.reading = this.reading.then(async () => this.parts.onChunk(await blob.arrayBuffer()));
  }
}
