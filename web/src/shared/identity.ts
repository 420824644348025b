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

let memory = "";

export function token(): string {
  return memory || (memory = read(key("token")));
}

export function keepToken(value: string): void {
  memory = value;
  try {
    if (value) sessionStorage.setItem(key("token"), value);
    else sessionStorage.removeItem(key("token"));
  } catch {
    // see read()
  }
}

/** Milliseconds at which a JWT runs out by its own word; null where it does not say. Nothing is verified here. */
export function expiresAtMs(jwt: string): number | null {
  try {
    const body = jwt.split(".")[1] ?? "";
    const claims = JSON.parse(atob(body.replaceAll("-", "+").replaceAll("_", "/"))) as { exp?: number };
    return typeof claims.exp === "number" ? claims.exp * 1000 : null;
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
