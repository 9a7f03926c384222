/** Suggestions for a mistyped name: the known names nearest by edit distance. */

/** Levenshtein distance between two short strings. */
export const editDistance = (a: string, b: string): number => {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, substitution));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
};

/** "Did you mean X?" for the nearest known name, or the whole list where nothing is near. */
export const suggestion = (given: string, known: readonly string[]): string => {
  const wanted = given.slice(0, 100).toLowerCase();
  const ranked = known
    .map(name => {
      const lower = name.toLowerCase();
      const last = lower.slice(lower.lastIndexOf("/") + 1);
      return { name, distance: Math.min(editDistance(wanted, lower), editDistance(wanted, last)) };
    })
    .toSorted((x, y) => x.distance - y.distance);
  const best = ranked[0];
  if (best !== undefined && best.distance <= Math.max(2, Math.floor(wanted.length / 3)))
    return `Did you mean ${best.name}?`;
  return known.length === 0 ? "There are none." : `There are: ${known.join(", ")}.`;
};
