/** A page whose own clock is wrong: countdowns and openings go by the server's. */
import { describe, expect, test } from "vitest";
import { clockText, ServerClock } from "../src/shared/time";

const HOUR = 3_600_000;
const START = 1_800_000_000_000;

/** A machine whose clock differs from the server's, and can be set. */
class Machine {
  server = START;
  constructor(public off: number) {}
  readonly local = (): number => this.server + this.off;
  readonly clock = new ServerClock(this.local);

  /** A ping whose way there and back take this long; the clock may be set while it is on its way. */
  ping(thereMs: number, backMs: number, set = 0): void {
    const sent = this.local();
    this.server += thereMs;
    const said = this.server;
    this.server += backMs;
    this.off += set;
    this.clock.sample(sent, said, this.local());
  }

  welcome(onItsWayMs: number): void {
    const said = this.server;
    this.server += onItsWayMs;
    this.clock.sample(this.local(), said, this.local());
  }

  wrongBy(): number {
    return Math.abs(this.clock.now() - this.server);
  }
}

describe.each([0, 5 * HOUR, -5 * HOUR, 24 * 365 * HOUR, -90_000])("a page whose clock is off by %i ms", (off) => {
  test("counts down to the server's instants from the welcome on", () => {
    const page = new Machine(off);
    page.welcome(80);
    expect(page.wrongBy()).toBeLessThanOrEqual(80);
    const until = START + 245_000;
    expect(clockText(until - page.clock.now())).toBe("4:05");
  });

  test("is right to half a round trip once a ping was answered", () => {
    const page = new Machine(off);
    page.welcome(900);
    page.ping(30, 50);
    expect(page.wrongBy()).toBeLessThanOrEqual(10);
    page.ping(20, 900); // a slow answer says less and changes nothing
    expect(page.wrongBy()).toBeLessThanOrEqual(10);
  });

  test.each([HOUR, -HOUR, 2_000, -2_000])("follows when it is set by %i ms while the page is open", (step) => {
    const page = new Machine(off);
    page.welcome(40);
    for (let n = 0; n < 8; n++) page.ping(20, 20);
    page.off += step;
    page.ping(60, 60); // the first answer after it, though its round trip is the longest so far
    expect(page.wrongBy()).toBeLessThanOrEqual(1);
  });

  test.each([HOUR, -HOUR])("believes no answer that was on its way while the clock was set by %i ms", (step) => {
    const page = new Machine(off);
    page.welcome(40);
    page.ping(20, 20);
    page.ping(20, 20, step);
    page.ping(25, 25);
    expect(page.wrongBy()).toBeLessThanOrEqual(1);
  });
});

describe("when something was made", () => {
  test("is not moved by a clock that is set back between two pings, nor by a machine that slept", () => {
    let server = START;
    let [set, slept] = [0, 0];
    const clock = new ServerClock(
      () => server + 5 * HOUR + set,
      () => server - START - slept,
    );
    clock.sample(server + 5 * HOUR, server + 40, server + 5 * HOUR + 80);
    const wrongBy = (): number => Math.abs(clock.steadyNow() - server);
    server += 10_000;
    expect(wrongBy()).toBeLessThanOrEqual(80);
    set = -HOUR;
    expect(wrongBy()).toBeLessThanOrEqual(80);
    clock.sample(server + 5 * HOUR + set, server + 40, server + 5 * HOUR + set + 80);
    expect(wrongBy()).toBeLessThanOrEqual(80);
    server += 60_000;
    slept = 50_000;
    expect(wrongBy()).toBeLessThanOrEqual(80);
  });
});
