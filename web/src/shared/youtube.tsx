/**
 * YouTube's player in a frame of its own, from its address that sets no cookie before it plays. Its script never runs in
 * our page: what little we ask of it (sound on or off) is a message to its frame. What arrives: the show's facts.
 */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { VideoFacts } from "./protocol";

export function YouTubeFrame(props: { video: VideoFacts; title: string; muted: boolean; class?: string }): JSX.Element {
  const frame = useRef<HTMLIFrameElement>(null);
  const tell = (): void => {
    const command = { event: "command", func: props.muted ? "mute" : "unMute", args: [] };
    frame.current?.contentWindow?.postMessage(JSON.stringify(command), new URL(props.video.url).origin);
  };
  useEffect(tell, [props.muted]);
  const wishes = new URLSearchParams({
    autoplay: "1",
    mute: "1",
    playsinline: "1",
    rel: "0",
    enablejsapi: "1",
    origin: location.origin,
  });
  return (
    <iframe
      ref={frame}
      class={props.class}
      src={`${props.video.url}?${wishes}`}
      title={props.title}
      allow="autoplay; encrypted-media; fullscreen; picture-in-picture"
      // YouTube plays nothing for a page that does not say where it stands: its origin, and no more than that.
      referrerpolicy="strict-origin-when-cross-origin"
      sandbox="allow-scripts allow-same-origin allow-presentation"
      onLoad={tell}
    />
  );
}
