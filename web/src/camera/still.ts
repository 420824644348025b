/**
 * The sound of a stream beside a small still of its picture, for a line that carries no moving one.
 *
 * What arrives: a stream of a camera. What leaves: a stream with the same sound whose picture is one frame, painted again
 * and again, and the way to stop. Players go on in it: one that has begun with picture and sound takes no piece that has
 * only one of them. It does not know recorders.
 */
export interface Still {
  stream: MediaStream;
  stop: () => void;
}

/** Painted as often as a keyframe a second needs it; what does not move costs next to nothing. */
const PAINT_EVERY_MS = 500;
const SHORT_SIDE_PX = 144;
/** The camera's frame is there at once, or its picture stays black: the sound does not wait for it. */
const FRAME_MS_MAX = 1000;

export async function stillOf(camera: MediaStream): Promise<Still> {
  const canvas = document.createElement("canvas");
  const paint = canvas.getContext("2d")!;
  const frame = await frameOf(camera);
  const scale = SHORT_SIDE_PX / Math.min(frame.videoWidth || SHORT_SIDE_PX, frame.videoHeight || SHORT_SIDE_PX);
  canvas.width = even(frame.videoWidth * scale || SHORT_SIDE_PX);
  canvas.height = even(frame.videoHeight * scale || SHORT_SIDE_PX);
  paint.fillRect(0, 0, canvas.width, canvas.height);
  paint.drawImage(frame, 0, 0, canvas.width, canvas.height);
  frame.srcObject = null;
  const stream = canvas.captureStream();
  camera.getAudioTracks().forEach((track) => stream.addTrack(track));
  const timer = setInterval(() => paint.drawImage(canvas, 0, 0), PAINT_EVERY_MS);
  const stop = (): void => {
    clearInterval(timer);
    stream.getVideoTracks().forEach((track) => track.stop()); // the sound is the camera's
  };
  return { stream, stop };
}

async function frameOf(camera: MediaStream): Promise<HTMLVideoElement> {
  const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
  const shown = new Promise<void>((resolve) => (video.onplaying = () => resolve()));
  video.srcObject = new MediaStream(camera.getVideoTracks());
  void video.play().catch(() => undefined);
  await Promise.race([shown, new Promise((resolve) => setTimeout(resolve, FRAME_MS_MAX))]);
  return video;
}

/** H.264 has its picture in pairs of lines. */
const even = (px: number): number => 2 * Math.round(px / 2);
