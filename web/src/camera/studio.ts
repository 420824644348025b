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
  readonly converted = signal(false);

  private readonly uplink: Uplink;
  private readonly recorder: Recorder;
  private lock: WakeLockSentinel | null = null;
  private stopMeter = (): void => undefined;

  constructor(showId: string) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.uplink = new Uplink({
      url: `${scheme}://${location.host}/publish/${encodeURIComponent(showId)}`,
      token,
      renewToken: renewStaffToken,
      serverNow: () => serverClock.now(),
      onStatus: (status) => this.lineIs(status),
      onHealth: (health) => (this.health.value = health),
      onRestart: () => void (this.sending.value && this.recorder.again()),
      onSlow: () => this.lower(),
    });
    this.recorder = new Recorder({
      now: () => serverClock.now(),
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
  async open(): Promise<void> {
    if (!navigator.mediaDevices) {
      this.trouble.value = "insecure";
      return;
    }
    const upright = matchMedia("(orientation: portrait)").matches;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        video: { ...(upright ? PORTRAIT : WIDE), frameRate: { ideal: 30 }, facingMode: { ideal: this.facing.value } },
        audio: { echoCancellation: true, noiseSuppression: true },
      });
      this.close();
      this.stream.value = stream;
      this.trouble.value = "";
      this.converted.value = bestKind((mime) => MediaRecorder.isTypeSupported(mime))?.converted ?? false;
      this.setMic(this.micOn.value);
      this.stopMeter = meter(stream, (level) => (this.level.value = level));
      stream.getVideoTracks()[0]?.addEventListener("ended", () => void this.open());
      if (this.sending.value) await this.recorder.record(stream);
    } catch (error) {
      this.trouble.value = troubleOf(error as DOMException);
    }
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
    void this.lock?.release().catch(() => undefined);
    this.lock = null;
  }

  async flip(): Promise<void> {
    this.facing.value = this.facing.value === "user" ? "environment" : "user";
    await this.open();
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
    this.lowered.value = this.recorder.soundOnly ? "sound" : "lower";
  }

  private lineIs(status: UplinkStatus): void {
    this.line.value = status;
    if (status.word === "refused") {
      this.sending.value = false;
      void this.recorder.stop();
    }
  }

  private close(): void {
    this.stopMeter();
    this.stream.value?.getTracks().forEach((track) => track.stop());
  }

  private async stayAwake(): Promise<void> {
    this.lock = (await navigator.wakeLock?.request("screen").catch(() => null)) ?? null;
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
