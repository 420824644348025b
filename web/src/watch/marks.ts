/** Her own lines in a list of tickets, and whether the mark that the server calls hers can only be hers. */

export interface Ticket {
  ticket: number;
  who: string;
  qty: number;
  place: number | null;
  outcome: "confirmed" | "released" | "expired" | "lapsed" | "cancelled" | "unknown";
}

export interface OwnMark {
  viewer_id: string;
  nonce: string;
  who: string;
}

/** True where the mark is the SHA-256 of her id and nonce. A page without a secure origin has no hashes: it believes. */
export async function isHers(own: OwnMark): Promise<boolean> {
  if (!globalThis.crypto?.subtle) return true;
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${own.viewer_id}:${own.nonce}`));
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("") === own.who;
}

export const linesOf = (tickets: readonly Ticket[], own: OwnMark): Ticket[] => tickets.filter((one) => one.who === own.who);
