/** What can be built into a kernel, by the name of its suffix: the variants, and the flavours of its configuration. */
import { flavourNames, loadFragments } from "./config.ts";
import type { KnownSuffix } from "./spec.ts";
import { loadVariants } from "./variants.ts";

/** What the first line of a fragment says of it: `# +kasan: what it does.` */
export const fragmentTitle = (text: string): string =>
  (text.split("\n")[0] ?? "").replace(/^# *(\+\S+:)? */, "").replace(/\.$/, "");

const flavours = async (): Promise<readonly KnownSuffix[]> => {
  const names = await flavourNames();
  const fragments = await loadFragments(names);
  return fragments
    .filter(({ name }) => names.includes(name))
    .map(({ name, text }) => ({ name, kind: "flavour", title: fragmentTitle(text), excludes: [] }));
};

/** All suffixes: variants by name, then flavours by name. */
export const loadSuffixes = async (): Promise<readonly KnownSuffix[]> => {
  const [variants, others] = await Promise.all([loadVariants(), flavours()]);
  return [
    ...variants.map(({ name, kind, title, about, excludes }) => ({ name, kind, title, about, excludes })),
    ...others,
  ];
};
