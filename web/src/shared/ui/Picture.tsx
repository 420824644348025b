/** A product's picture; where there is none or it fails, its name's first letter on a quiet ground. */
import { useState } from "preact/hooks";

export function Picture({ src, name, class: extra = "", eager }: { src: string; name: string; class?: string; eager?: boolean }) {
  const [failed, setFailed] = useState("");
  const usable = src && failed !== src;
  return (
    <span class={`picture ${extra}`}>
      {usable ? (
        <img src={src} alt="" loading={eager ? "eager" : "lazy"} decoding="async" onError={() => setFailed(src)} />
      ) : (
        <span class="picture-letter display" aria-hidden="true">
          {[...name.trim()][0] ?? "·"}
        </span>
      )}
    </span>
  );
}
