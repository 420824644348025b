/** The bag and its checkout, as far as a page decides anything. */
import { describe, expect, test } from "vitest";
import { linesWith, type Bag, type Where } from "../src/shop/bag";
import { missing } from "../src/shop/where";

const line = (variant_id: string, qty: number): Bag["lines"][number] => ({ variant_id, qty, handle: "", title: "", label: "", image: "", unit_minor: 1 });
const bag = { lines: [line("a", 2), line("b", 1)] } as Bag;

describe("a changed bag", () => {
  test("keeps what else lies in it", () => {
    expect(linesWith(bag, "a", 3)).toEqual([
      { variant_id: "b", qty: 1 },
      { variant_id: "a", qty: 3 },
    ]);
  });

  test("loses the article that is taken out", () => {
    expect(linesWith(bag, "b", 0)).toEqual([{ variant_id: "a", qty: 2 }]);
  });

  test("begins with its first article", () => {
    expect(linesWith(undefined, "a", 1)).toEqual([{ variant_id: "a", qty: 1 }]);
    expect(linesWith(undefined, "a", 0)).toEqual([]);
  });
});

describe("a checkout", () => {
  const where: Where = {
    delivery: "ship",
    pickup_location_id: "",
    contact_name: "Ana",
    contact: "ana@example.com",
    address: { line1: "1 Rue", line2: "", postcode: "75002", city: "Paris", country: "France" },
  };

  test("of a parcel needs an address, of a counter none", () => {
    expect(missing(where)).toEqual([]);
    const nowhere = { ...where, address: { line1: " ", line2: "", postcode: "", city: "", country: "" } };
    expect(missing(nowhere)).toEqual(["line1", "postcode", "city", "country"]);
    expect(missing({ ...nowhere, delivery: "pickup" })).toEqual([]);
  });

  test.each(["", "ana", "12"])("cannot reach anybody at %j", (contact) => {
    expect(missing({ ...where, contact })).toEqual(["contact"]);
  });

  test.each(["+33 1 23 45 67 89", "ana@example.com"])("reaches her at %j", (contact) => {
    expect(missing({ ...where, contact })).toEqual([]);
  });
});
