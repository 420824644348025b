/**
 * What became of a line that claims, in words she reads: a key with its blanks, and what she may do next.
 * Pure: decides from the server's answer and what the page knows of the show.
 */
import { dealOf, type RoomState } from "../shared/fold";
import type { Claimed } from "../shared/protocol";
import { REFUSAL } from "../shared/protocol";

export interface ClaimNext {
  /** Deals that one tap reserves, or, with `wait`, waits for. */
  dealIds: readonly string[];
  label: string;
  qty: number;
  wait: boolean;
}

export interface ClaimWords {
  tone: "good" | "bad" | "plain";
  key: string;
  blanks: Record<string, string | number>;
  /** An instant that stands in the blank "time". */
  timeMs: number | null;
  /** Show the refusal's own words after it. */
  refusal: boolean;
  next: readonly ClaimNext[];
}

export function claimWords(state: RoomState, answer: Claimed): ClaimWords {
  const what = nameOfDeals(state, answer.lines.map((line) => line.deal_id));
  const count = answer.lines[0]?.qty ?? 1;
  const words = (key: string, more: Partial<ClaimWords> = {}): ClaimWords => ({
    tone: "plain",
    key,
    blanks: { what, count },
    timeMs: null,
    refusal: false,
    next: [],
    ...more,
  });
  if (answer.hold) {
    // The hold of a claim that is told again may have gone on meanwhile; what it is now is what counts.
    const state_ = answer.hold.state;
    if (state_ === "held") return words("claim.held", { tone: "good", timeMs: answer.hold.due_at_ms });
    if (state_ === "entered") return words("claim.entered", { tone: "good" });
    return words(state_ === "confirmed" || state_ === "paying" ? "claim.yours" : "claim.over");
  }
  const dealIds = answer.lines.map((line) => line.deal_id);
  switch (answer.number) {
    case REFUSAL.SOLD_OUT: {
      const place = Number(answer.facts["place"] ?? 1);
      if (dealIds.length !== 1) return words("claim.sold_out_set", { tone: "bad" });
      const next = [{ dealIds, label: "", qty: count, wait: true }];
      return words("claim.sold_out", { tone: "bad", blanks: { what, count, place }, next });
    }
    case REFUSAL.DEAL_NOT_OPEN: {
      const opens = answer.facts["opens_at_ms"];
      return words(opens ? "claim.opens" : "claim.not_open", { timeMs: opens ? Number(opens) : null });
    }
    case REFUSAL.CLAIM_CODE:
      return words(answer.codes.length ? "claim.codes" : "claim.none", { blanks: { codes: answer.codes.join(", ") } });
    case REFUSAL.CLAIM_WHICH:
      return words("claim.which", { next: choices(state, answer) });
    case REFUSAL.CLAIM_WORDS:
      return words("claim.words", { blanks: { words: String(answer.facts["words"] ?? "") }, next: choices(state, answer) });
    case REFUSAL.CLAIM_ONE_CARD:
      return words("claim.one_card");
    default:
      return words("claim.refused", { tone: "bad", refusal: true });
  }
}

function choices(state: RoomState, answer: Claimed): ClaimNext[] {
  return answer.choices.map((id) => ({ dealIds: [id], label: dealOf(state, id)?.deal.label || nameOfDeals(state, [id]), qty: 1, wait: false }));
}

/** "Velvet Lip, Rosewood"; several together are a set and go by its title. */
export function nameOfDeals(state: RoomState, ids: readonly string[]): string {
  const found = ids[0] ? dealOf(state, ids[0]) : null;
  if (!found) return "";
  return ids.length > 1 || !found.deal.label ? found.card.title : `${found.card.title}, ${found.deal.label}`;
}
