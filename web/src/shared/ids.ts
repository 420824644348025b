/** Ids a page makes by itself: request ids and the ids of its own lines. */

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** `prefix_` and 20 random characters: one request, kept by the server per (viewer, id). */
export function newId(prefix: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(20));
  return `${prefix}_${Array.from(bytes, (byte) => ALPHABET[byte & 31]).join("")}`;
}
