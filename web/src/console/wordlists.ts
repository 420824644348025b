/**
 * The merchant's word lists while somebody edits them. What arrives: lists as they are kept, and what she typed. What
 * leaves: a draft, and where a colleague saved first, her changes put on top of his. It knows no page and no server.
 */
import type { StarterName, TalkRules } from "./server";

export interface ListsDraft {
  words: string; // one entry a line, here and below
  allowed: string;
  hosts: string;
  starters: readonly StarterName[];
}

type Kept = Pick<TalkRules["rules"], "words" | "allowed" | "link_hosts" | "starters">;

export const asLines = (text: string): string[] => text.split("\n").map((one) => one.trim()).filter(Boolean);

export function draftOf(rules: Kept): ListsDraft {
  return {
    words: rules.words.join("\n"),
    allowed: rules.allowed.join("\n"),
    hosts: rules.link_hosts.join("\n"),
    starters: rules.starters,
  };
}

/** What she added to `base` and took away from it, done to `theirs`. */
export function onTop(base: Kept, theirs: Kept, mine: ListsDraft): ListsDraft {
  const lines = (was: readonly string[], is: readonly string[], typed: string): string =>
    merged(was, is, asLines(typed)).join("\n");
  return {
    words: lines(base.words, theirs.words, mine.words),
    allowed: lines(base.allowed, theirs.allowed, mine.allowed),
    hosts: lines(base.link_hosts, theirs.link_hosts, mine.hosts),
    starters: merged(base.starters, theirs.starters, mine.starters),
  };
}

function merged<T>(base: readonly T[], theirs: readonly T[], mine: readonly T[]): T[] {
  const removed = new Set(base.filter((one) => !mine.includes(one)));
  const added = mine.filter((one) => !base.includes(one));
  return [...new Set([...theirs.filter((one) => !removed.has(one)), ...added])];
}
