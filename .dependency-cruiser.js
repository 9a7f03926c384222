/**
 * Who may import whom. The layers are what makes a verdict believable: oracles that do no I/O give the same answer for a
 * stored history as for a fresh one, and a lab that knows nothing of scenarios cannot favour one. Every rule is an error.
 *
 * Run: depcruise rig scenarios reports --config .dependency-cruiser.js
 */

/** Tests and what only they use; they may reach across layers. */
const TESTS = String.raw`\.test\.tsx?$|/testdata/|^rig/testing/|^reports/app/testing\.ts$`;

/**
 * The judging part, and all that it may use: the vocabulary, histories, the shape of results, and the sector format (the
 * ledger writes stamps, the integrity oracle reads them). The set is closed: nothing in it imports anything outside it but
 * zod, so no oracle reaches a file, a clock or a network by way of a third module.
 */
const PURE = [
  "^rig/(oracle|verdict)/",
  String.raw`^rig/core/(names|errors)\.ts$`,
  String.raw`^rig/history/(event|extent|operations|view)\.ts$`,
  String.raw`^rig/results/schema\.ts$`,
  String.raw`^rig/workload/(stamp|crc32c)\.ts$`,
];

/** What the report page knows of the rig. Of the first group it may use values, of the second only types. */
const PAGE_VALUES = String.raw`^rig/(report/(bundle|timing)|core/names)\.ts$`;
const PAGE_TYPES = String.raw`^rig/(history/(event|extent|operations)|results/schema|oracle/finding)\.ts$`;

export default {
  forbidden: [
    {
      name: "pure-stays-pure",
      severity: "error",
      comment: "Oracles and verdicts import each other, what is as pure as they are, and zod; types may come from anywhere.",
      from: { path: PURE, pathNot: TESTS },
      to: { pathNot: [...PURE, "^node_modules/zod/"], dependencyTypesNot: ["type-only"] },
    },
    {
      name: "core-is-the-bottom",
      severity: "error",
      comment: "rig/core knows nothing of the rest of the rig.",
      from: { path: "^rig/core/", pathNot: TESTS },
      to: { path: "^(rig|scenarios|reports)/", pathNot: "^rig/core/" },
    },
    {
      name: "history-is-below-the-lab",
      severity: "error",
      comment: "A history is read and written without a lab, a run or a command line.",
      from: { path: "^rig/history/", pathNot: TESTS },
      to: { path: "^rig/(lab|run|cli)/" },
    },
    {
      name: "lab-is-below-scenarios",
      severity: "error",
      comment: "A lab does not know what it is used for.",
      from: { path: "^rig/lab/", pathNot: TESTS },
      to: { path: "^rig/(scenario|run|cli|report)/|^scenarios/" },
    },
    {
      name: "scenarios-use-one-door",
      severity: "error",
      comment: "A scenario imports rig/scenario/scenario.ts and nothing else; what it needs comes in through its timeline.",
      from: { path: "^scenarios/", pathNot: TESTS },
      to: { pathNot: String.raw`^rig/scenario/scenario\.ts$` },
    },
    {
      name: "page-knows-the-data-only",
      severity: "error",
      comment: "The report page imports the shapes of results and histories, and nothing that does the rig's work.",
      from: { path: "^reports/app/", pathNot: TESTS },
      to: { pathNot: ["^reports/app/", PAGE_VALUES, PAGE_TYPES, "^node_modules/(preact|uplot)/"] },
    },
    {
      name: "page-takes-types-only",
      severity: "error",
      comment: "These modules need zod or Node, which the page must not carry: import their types only.",
      from: { path: `^reports/app/|${PAGE_VALUES}`, pathNot: TESTS },
      to: { path: PAGE_TYPES, dependencyTypesNot: ["type-only"] },
    },
    {
      name: "cli-is-the-top",
      severity: "error",
      comment: "Only bin/rig starts the command line; nothing else depends on it, nor on the benchmarks, a command line of their own.",
      from: { pathNot: "^(bin|rig/(cli|bench))/" },
      to: { path: "^rig/(cli|bench)/" },
    },
    {
      name: "no-circular",
      severity: "error",
      comment: "Two modules that need each other are one module, or need a third.",
      from: {},
      to: { circular: true },
    },
    {
      name: "no-dev-dependencies",
      severity: "error",
      comment: "The rig runs with its dependencies alone; development tools are for tests and for building the page.",
      from: { path: "^rig/", pathNot: TESTS },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] },
    },
    {
      name: "no-tests-in-production",
      severity: "error",
      comment: "What runs outside tests must not depend on them or on their data.",
      from: { pathNot: TESTS },
      to: { path: TESTS },
    },
    {
      name: "no-unlisted-packages",
      severity: "error",
      comment: "Every package that is imported is in package.json.",
      from: {},
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown"] },
    },
    {
      name: "no-unresolvable",
      severity: "error",
      comment: "Every import leads to a file.",
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^reports/dist/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
      extensions: [".ts", ".tsx", ".js", ".mjs", ".cjs", ".json", ".d.ts"],
    },
  },
};
