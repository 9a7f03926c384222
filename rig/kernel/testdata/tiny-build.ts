/** Builds a kernel of a tiny source in a process of its own: SOURCE (as JSON), PLACES (as JSON), SUFFIX. */
import { silentLog } from "../../core/log.ts";
import { buildKernel } from "../build.ts";
import type { BuildPlaces } from "../build-plan.ts";
import type { SourceTree } from "../source-tree.ts";

const [source = "", places = "", suffix = ""] = process.argv.slice(2);
await buildKernel(JSON.parse(source) as SourceTree, [suffix], silentLog, undefined, JSON.parse(places) as BuildPlaces);
