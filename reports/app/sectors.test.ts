import { expect, test } from "vitest";
import { sectorPicture } from "./sectors.ts";
import { cellFixture } from "./testing.ts";

test("where both ends agree there is one view of all sectors", () => {
  const { operations, findings } = cellFixture({ staleSlots: 10 });
  const { views, names } = sectorPicture(operations, findings);
  expect(views).toHaveLength(1);
  expect(views[0]).toMatchObject({ vias: ["initiator", "backing"], badCount: 80 });
  expect(views[0]?.squares).toHaveLength(256);
  expect(views[0]?.squares[79]).toEqual({ sector: 79, holds: "generation 1", shouldHold: "generation 2", bad: true });
  expect(views[0]?.squares[80]).toEqual({ sector: 80, holds: "generation 2", shouldHold: "generation 2", bad: false });
  expect(names).toEqual(["generation 1", "generation 2"]);
});

test("where they differ there are two", () => {
  const { operations, findings } = cellFixture({ foreignSlot: 3 });
  const { views } = sectorPicture(operations, findings);
  expect(views.map(v => v.vias)).toEqual([["initiator"], ["backing"]]);
  expect(views[1]?.squares[24]?.holds).toBe("foreign bytes");
});

test("nothing is bad without a finding, whatever was read", () => {
  const { operations } = cellFixture();
  expect(sectorPicture(operations, []).views[0]?.badCount).toBe(0);
});
