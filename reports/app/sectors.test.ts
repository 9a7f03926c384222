import { expect, test } from "vitest";
import type { NumberedEvent } from "../../rig/report/bundle.ts";
import { operationsOf } from "./operations.ts";
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

test("each LUN is a disk of its own", () => {
  const second = [
    [2, { t: 0, kind: "device", id: 1, name: "dm-1", lun: 1, sectors: 64, cache: "none" }],
    [3, { t: 1, kind: "invoke", op: 9001, action: "read", via: "initiator", device: 1, sector: 8, sectors: 8 }],
    [4, { t: 2, kind: "ok", op: 9001, content: [{ is: "zero", at: 8, n: 8 }] }],
  ] as const satisfies readonly NumberedEvent[];
  const { events, findings } = cellFixture();
  const operations = operationsOf([...events, ...second]);
  const bad = { sector: 8, sectors: 2, via: "initiator", lun: 1, expected: [], found: { label: "zeros" } } as const;
  const { views } = sectorPicture(operations, [...findings, { ...findings[0], extents: [bad] } as never]);
  expect(views.map(v => [v.lun, v.vias.length, v.squares.length, v.badCount])).toEqual([
    [0, 2, 256, 256],
    [1, 1, 8, 2],
  ]);
});

test("nothing is bad without a finding, whatever was read", () => {
  const { operations } = cellFixture();
  expect(sectorPicture(operations, []).views[0]?.badCount).toBe(0);
});
