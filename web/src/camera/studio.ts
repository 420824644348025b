/**
 * The camera of one show as the page sees it: a stream, its recorder, its line, and what may be wrong in words.
 *
 * What arrives: taps of the host, events of the device. What leaves: signals. It does not know the screen's layout.
 */
import { signal } from "@preact/signals";
import { renewStaffToken } from "../console/session";
import { token } from "../shared/identity";
import { serverClock } from "../shared/time";
import { bestKind, Recorder } from "./recorder";
import { Uplink, type Health, type UplinkStatus } from "./uplink";

/** Why there is no picture; a key of `camera.…`. */
export type Trouble = "" | "insecure" | "denied" | "missing" | "busy" | "no_recorder";

const PORTRAIT = { width: { ideal: 720 }, height: { ideal: 1280 } };
const WIDE = { width: { ideal: 1280 }, height: { ideal: 720 } };
const LEVEL_EVERY_MS = 100;

export class CameraStudio {
  readonly stream = signal<MediaStream | null>(null);
  readonly trouble = signal<Trouble>("");
  readonly sending = signal(false);
  readonly line = signal<UplinkStatus>({ word: "idle" });
  readonly health = signal<Health | null>(null);
  readonly micOn = signal(true);
  readonly level = signal(0);
  readonly facing = signal<"user" | "environment">("environment");
  readonly lowered = signal<"" | "lower" | "sound">("");
  /** The other camera did not open, and the one before films on. */
  readonly flipFailed = signal(false);
  readonly converted = signal(false);

  private readonly uplink: Uplink;
  private readonly recorder: Recorder;
  private lock: WakeLockSentinel | null = null;
  private opening: Promise<void> = Promise.resolve();
  private stopMeter = (): void => undefined;

  constructor(showId: string) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.uplink = new Uplink({
      url: `${scheme}://${location.host}/publish/${encodeURIComponent(showId)}`,
      token,
      renewToken: renewStaffToken,
      serverNow: () => serverClock.steadyNow(),
      onStatus: (status) => this.lineIs(status),
      onHealth: (health) => (this.health.value = health),
      onRestart: () => void (this.sending.value && this.recorder.again()),
      onSlow: () => this.lower(),
      onFine: () => this.raise(),
    });
    this.recorder = new Recorder({
      now: () => serverClock.steadyNow(),
      onBegin: (mime, t0Ms) => this.uplink.begin(mime, t0Ms),
      onChunk: (data) => this.uplink.push(data),
      onFinish: () => this.uplink.finish(),
      onTrouble: (error) => {
        this.trouble.value = error.message === "no_recorder" ? "no_recorder" : "busy";
        this.stop();
      },
    });
  }

  /** Ask for camera and microphone; says in `trouble` what is in the way. */
  open(): Promise<void> {
    return this.inTurn(async () => {
      this.flipFailed.value = false;
      this.trouble.value = await this.reopen();
      await this.goOn();
    });
  }

  /** The other camera; where it does not open, the one before. */
  flip(): Promise<void> {
    return this.inTurn(async () => {
      const before = this.facing.value;
      this.facing.value = before === "user" ? "environment" : "user";
      const trouble = await this.reopen();
      this.flipFailed.value = trouble !== "";
      if (trouble) this.facing.value = before;
      this.trouble.value = trouble && (await this.reopen());
      await this.goOn();
    });
  }

  /** Two wishes at once must not leave a camera open that nobody sees. */
  private inTurn(work: () => Promise<void>): Promise<void> {
    return (this.opening = this.opening.then(work));
  }

  /** The epoch and its camera end first: many phones open one camera at a time. Returns what is in the way. */
  private async reopen(): Promise<Trouble> {
    if (!navigator.mediaDevices) return "insecure";
    const upright = matchMedia("(orientation: portrait)").matches;
    await this.recorder.stop();
    this.close();
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        video: { ...(upright ? PORTRAIT : WIDE), frameRate: { ideal: 30 }, facingMode: { ideal: this.facing.value } },
        audio: { echoCancellation: true, noiseSuppression: true },
      });
      this.stream.value = stream;
      this.converted.value = bestKind((mime) => MediaRecorder.isTypeSupported(mime))?.converted ?? false;
      this.setMic(this.micOn.value);
      this.stopMeter = meter(stream, (level) => (this.level.value = level));
      stream.getVideoTracks()[0]?.addEventListener("ended", () => void this.open());
      return "";
    } catch (error) {
      return troubleOf(error as DOMException);
    }
  }

  private async goOn(): Promise<void> {
    if (this.sending.value && this.stream.value) await this.recorder.record(this.stream.value);
  }

  async start(): Promise<void> {
    if (!this.stream.value) await this.open();
    if (!this.stream.value) return;
    this.sending.value = true;
    this.recorder.step = 0;
    this.lowered.value = "";
    await this.recorder.record(this.stream.value);
    await this.stayAwake();
  }

  stop(): void {
    this.sending.value = false;
    void this.recorder.stop().then(() => this.uplink.close());
    this.letSleep();
  }

  setMic(on: boolean): void {
    this.micOn.value = on;
    this.stream.value?.getAudioTracks().forEach((track) => (track.enabled = on));
  }

  /** The device was turned or woke up: a picture of another size is another epoch, and a lock may be gone. */
  async turned(): Promise<void> {
    await this.open();
  }

  async awake(): Promise<void> {
    this.uplink.wake();
    if (this.sending.value) await this.stayAwake();
    if (this.stream.value?.getVideoTracks().some((track) => track.readyState === "ended")) await this.open();
  }

  private lower(): void {
    if (!this.recorder.lower()) return;
    this.sayStep();
  }

  private raise(): void {
    if (this.recorder.raise()) this.sayStep();
  }

  private sayStep(): void {
    this.lowered.value = this.recorder.soundOnly ? "sound" : this.recorder.step ? "lower" : "";
  }

  private lineIs(status: UplinkStatus): void {
    this.line.value = status;
    if (status.word === "refused") {
      this.sending.value = false;
      void this.recorder.stop();
      this.letSleep();
    }
  }

  private close(): void {
    this.stopMeter();
    this.stopMeter = () => undefined;
    this.stream.value?.getTracks().forEach((track) => track.stop());
    this.stream.value = null;
  }

  private async stayAwake(): Promise<void> {
    if (this.lock && !this.lock.released) return;
    this.lock = (await navigator.wakeLock?.request("screen").catch(() => null)) ?? null;
    if (!this.sending.value) this.letSleep(); // it was stopped meanwhile
  }

  private letSleep(): void {
    void this.lock?.release().catch(() => undefined);
    this.lock = null;
  }
}

function troubleOf(error: DOMException): Trouble {
  if (error.name === "NotAllowedError" || error.name === "SecurityError") return "denied";
  if (error.name === "NotFoundError" || error.name === "OverconstrainedError") return "missing";
  return "busy";
}

/** How loud the microphone is, from 0 to 1, ten times a second. Returns the way to stop. */
function meter(stream: MediaStream, tell: (level: number) => void): () => void {
  if (!stream.getAudioTracks().length) return () => undefined;
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const loud = Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length);
    tell(Math.min(1, loud * 4));
  }, LEVEL_EVERY_MS);
  return () => {
    clearInterval(timer);
    void context.close();
  };
}
