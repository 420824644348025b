/**
 * The signed tokens of what she holds, kept for a reload: while the server counts stock again they are the only proof
 * that a page which has just come back can give. Per show and frame, in the session storage, as few as one viewer may
 * hold; gone with the tab. Nothing here is looked at: the server reads them.
 */
const KEPT_MAX = 24; // live requests of one viewer, as the server bounds them

const key = (showId: string): string => `lc.holds.${window.name || "top"}.${showId}`;

export interface TokenStore {
  /** By rid. */
  load(): Iterable<[string, string]>;
  keep(tokens: ReadonlyMap<string, string>): void;
}

export function tokensOf(showId: string): TokenStore {
  return {
    load: () => {
      try {
        return Object.entries(JSON.parse(sessionStorage.getItem(key(showId)) ?? "{}") as Record<string, string>);
      } catch {
        return []; // storage is closed in some in-app browsers, and others may write to it
      }
    },
    keep: (tokens) => {
      try {
        if (tokens.size) sessionStorage.setItem(key(showId), JSON.stringify(Object.fromEntries([...tokens].slice(-KEPT_MAX))));
        else sessionStorage.removeItem(key(showId));
      } catch {
        // then they live as long as the page
      }
    },
  };
}
