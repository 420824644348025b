/**
 * A one-time code in exchange for this frame's own passes. What arrives: the code of a link. What leaves: the short
 * pass and the one that renews it are kept for the frame, and the page the link wanted to open.
 */
import { api } from "../shared/api";
import { keepToken } from "../shared/identity";

interface Entered {
  target: string;
  token: string;
  renewal: string;
}

const renewalKey = (): string => `lc.renewal.${window.name || "top"}`;
let renewalInMemory = "";

/** Exchange `code`. Answers the page the link is for. Raises `Refusal` for a used or old code. */
export async function enterByCode(code: string): Promise<string> {
  const entered = await api.post<Entered>("/api/enter", { code });
  keepToken(entered.token);
  keepRenewal(entered.renewal);
  return isOurs(entered.target) ? entered.target : "";
}

/** The long pass of this frame, good for a new short one; "" where the person came with a session. */
export function renewal(): string {
  try {
    return renewalInMemory || (sessionStorage.getItem(renewalKey()) ?? "");
  } catch {
    return renewalInMemory;
  }
}

function keepRenewal(value: string): void {
  renewalInMemory = value;
  try {
    sessionStorage.setItem(renewalKey(), value);
  } catch {
    // storage is closed: the pass then lives as long as the page
  }
}

/** Where to go after signing in: `?next=` where that is a page of ours, else the console. */
export function wayOn(search: string): string {
  const next = new URLSearchParams(search).get("next") ?? "";
  return isOurs(next) ? next : "/console";
}

/** A path on this server: nobody's link sends a person who just signed in to another site. */
function isOurs(path: string): boolean {
  return /^\/(?![/\\])/.test(path);
}
