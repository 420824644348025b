/** Orders as the page knows them: the newest word stands, whatever order answers arrive in. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import { fold, EMPTY } from "../src/shared/fold";
import type { OrderFacts } from "../src/shared/protocol";

vi.stubGlobal("document", { cookie: "" });
vi.stubGlobal("location", { origin: "http://shop.test", pathname: "/", search: "", hash: "", protocol: "http:", host: "shop.test" });
const { checkoutOrder, openCheckout, payAgain, refreshOrders } = await import("../src/watch/checkout");
const { room } = await import("../src/watch/room");

const order = (status: OrderFacts["status"], pay_url = ""): OrderFacts => ({
  order_id: "ord_1",
  number: "1001",
  rid: "rid-0001",
  status,
  total_minor: 1900,
  currency: "EUR",
  livemode: false,
  pickup_code: "",
  pay_url,
  pay_by_ms: 60_000,
  retry_by_ms: null,
  lines: [],
  version: 0,
});

const page = (facts: OrderFacts) => ({ order: facts, story: "", lines: [], promises: [] });
const heard = (facts: OrderFacts): void => {
  room.value = fold(room.value, { t: "own", hold: null, order: facts, note: "", private: null });
};

/** The server: each request waits until the test answers it. */
const asked: { path: string; answer: (body: unknown) => void }[] = [];
vi.stubGlobal("fetch", (path: string) => {
  return new Promise<Response>((resolve) => {
    asked.push({ path, answer: (body) => resolve(new Response(JSON.stringify(body), { headers: { "content-type": "application/json" } })) });
  });
});
const request = async (path: string) => {
  await vi.waitFor(() => expect(asked.at(0)?.path).toContain(path));
  return asked.shift()!;
};

beforeEach(() => {
  asked.length = 0;
  room.value = EMPTY;
  openCheckout("rid-0001");
});

describe("refreshOrders", () => {
  it("takes the server's word where nothing newer came meanwhile", async () => {
    heard(order("paying"));
    const done = refreshOrders();
    (await request("/api/orders")).answer({ orders: [page(order("declined"))] });
    await done;
    expect(checkoutOrder.value?.facts.status).toBe("declined");
  });

  it("asks again where the socket had news while the answer was on its way", async () => {
    heard(order("declined"));
    const done = refreshOrders();
    const slow = await request("/api/orders");
    heard(order("paying", "/pay/2"));
    slow.answer({ orders: [page(order("declined"))] });
    const again = await request("/api/orders");
    expect(checkoutOrder.value?.facts.status).toBe("paying");
    again.answer({ orders: [page(order("confirmed"))] });
    await done;
    expect(checkoutOrder.value?.facts.status).toBe("confirmed");
  });
});

describe("payAgain", () => {
  it("offers no link until the new one is here", async () => {
    heard(order("declined"));
    const first = payAgain("ord_1");
    (await request("/retry")).answer({ order: order("paying"), pay_url: "/pay/1", qr_svg: "", pay_by_ms: 60_000 });
    (await request("/api/orders")).answer({ orders: [page(order("paying", "/pay/1"))] });
    await first;
    heard(order("declined"));
    const second = payAgain("ord_1");
    const slow = await request("/retry");
    heard(order("paying")); // the socket was faster
    expect(checkoutOrder.value?.payUrl).toBe("");
    slow.answer({ order: order("paying"), pay_url: "/pay/2", qr_svg: "", pay_by_ms: 60_000 });
    (await request("/api/orders")).answer({ orders: [page(order("paying", "/pay/2"))] });
    await second;
    expect(checkoutOrder.value?.payUrl).toBe("/pay/2");
  });
});
