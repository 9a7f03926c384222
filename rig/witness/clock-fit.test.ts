import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Exchange, fitClock } from "./clock-fit.ts";

const exchange = (sentNs: number, guestNs: number, receivedNs: number): Exchange => ({
  sentNs: BigInt(sentNs),
  guestNs: BigInt(guestNs),
  receivedNs: BigInt(receivedNs),
});

describe("a guest's clock", () => {
  test("is known to within half the shortest way there and back", () => {
    const fit = fitClock([exchange(1000, 50, 1400), exchange(2000, 1100, 2020)], []);
    expect(fit?.skewNs).toBeLessThanOrEqual(10);
    expect(fit?.hostNs(1100)).toBe(2010n);
  });

  test("is bounded by all exchanges together", () => {
    // The first says 950 to 1050, the second 1000 to 1100: so it is 1000 to 1050.
    const fit = fitClock([exchange(1050, 100, 1150), exchange(1200, 200, 1300)], []);
    expect(fit).toMatchObject({ skewNs: 25 });
  });

  test("that runs fast is followed in a line", () => {
    const fit = fitClock([exchange(1_000_000, 0, 1_000_000)], [exchange(11_000_000, 10_100_000, 11_000_000)]);
    expect(fit?.hostNs(5_050_000)).toBe(6_000_000n);
  });

  test("that was started anew, or set, gives nothing", () => {
    expect(fitClock([exchange(0, 5e9, 10)], [exchange(9e9, 1e9, 9e9 + 10)])).toBeUndefined();
    expect(fitClock([exchange(0, 0, 10)], [exchange(9e9, 19e9, 9e9 + 10)])).toBeUndefined();
    expect(fitClock([], [])).toBeUndefined();
  });

  test("is never further off than it says, while it runs evenly", () => {
    const way = fc.integer({ min: 1, max: 5_000_000 });
    fc.assert(
      fc.property(
        fc.integer({ min: -50, max: 50 }),
        fc.array(fc.tuple(way, way), { minLength: 2, maxLength: 8 }),
        (ppm, ways) => {
          const guest = (hostNs: number) => Math.round((hostNs - 1e9) * (1 + ppm / 1e6));
          const at = (hostNs: number) =>
            ways.map(([there, back]) => exchange(hostNs - there, guest(hostNs), hostNs + back));
          const fit = fitClock(at(2e9), at(12e9));
          const off = Math.abs(Number(fit?.hostNs(guest(7e9)) ?? 0n) - 7e9);
          expect(off).toBeLessThanOrEqual((fit?.skewNs ?? 0) + 10);
        },
      ),
    );
  });
});
