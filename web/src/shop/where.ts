/** What a checkout needs to know, field by field. The server has the last word; this spares a person the round trip. */
import type { Where } from "./bag";

export type Field = "contact_name" | "contact" | "line1" | "postcode" | "city" | "country";

/** An e-mail address or a phone number, as far as a page can tell. */
export const CONTACT = /^(\S+@\S+\.\S+|\+?[\d\s()./-]{6,20})$/;

/** The fields that are empty or cannot be right, in the order in which they stand. */
export function missing(where: Where): Field[] {
  const needed: [Field, string][] = [
    ["contact_name", where.contact_name],
    ["contact", CONTACT.test(where.contact.trim()) ? where.contact : ""],
  ];
  if (where.delivery === "ship")
    for (const field of ["line1", "postcode", "city", "country"] as const) needed.push([field, where.address[field]]);
  return needed.filter(([, value]) => !value.trim()).map(([field]) => field);
}
