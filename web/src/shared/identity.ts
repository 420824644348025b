/**
 * Who this frame is. Several identities may live in one browser (the demo's three frames share one cookie jar), so a
 * token is kept in the session storage under the frame's own name; without one, the cookie speaks.
 */

const frame = (): string => (typeof window === "undefined" ? "" : window.name || "top");
const key = (kind: string): string => `lc.${kind}.${frame()}`;

function read(name: string): string {
  try {
    return sessionStorage.getItem(name) ?? "";
  } catch {
    return ""; // storage is closed in some in-app browsers: the identity then lives as long as the page
  }
}

const memory: Record<string, string> = {};

function kept(kind: string): string {
  return (memory[kind] ||= read(key(kind)));
}

function keep(kind: string, value: string): void {
  memory[kind] = value;
  try {
    if (value) sessionStorage.setItem(key(kind), value);
    else sessionStorage.removeItem(key(kind));
  } catch {
    // see read()
  }
}

/** The short pass that this frame shows; "" where the cookie speaks. */
export const token = (): string => kept("token");

export const keepToken = (value: string): void => keep("token", value);

/** The long pass that came with a one-time code: good for a new short one, and for nothing else. */
export const renewal = (): string => kept("renewal");

export const keepRenewal = (value: string): void => keep("renewal", value);

/** Whom a pass is for by its own word ("viewer", "viewer-renew", "staff", …). Nothing is verified here. */
export function audience(jwt: string): string {
  const aud = claims(jwt)?.["aud"];
  return typeof aud === "string" ? aud : "";
}

/** Milliseconds at which a pass runs out by its own word; null where it does not say. */
export function expiresAtMs(jwt: string): number | null {
  const exp = claims(jwt)?.["exp"];
  return typeof exp === "number" ? exp * 1000 : null;
}

function claims(jwt: string): Record<string, unknown> | null {
  try {
    const body = jwt.split(".")[1] ?? "";
    return JSON.parse(atob(body.replaceAll("-", "+").replaceAll("_", "/"))) as Record<string, unknown>;
  } catch {
    return null;
  }
}

/** The word of the URL's fragment (`#t=…`, `#code=…`), taken out of the address so that it is not shared on. */
export function takeFromFragment(name: string): string {
  const words = new URLSearchParams(location.hash.slice(1));
  const value = words.get(name) ?? "";
  if (value) {
    words.delete(name);
    const rest = words.toString();
    history.replaceState(null, "", location.pathname + location.search + (rest ? `#${rest}` : ""));
  }
  return value;
}
