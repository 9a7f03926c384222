/**
 * Work side by side that is over only when all of it is. Promise.all leaves the others running when one fails, and what they
 * make after that, nobody undoes; here the others are told to stop, and waited for.
 */

/** Runs all; on the first failure calls `onFailure`, waits for the rest to settle, and rejects with that failure. */
export const together = async <T>(
  works: readonly Promise<T>[],
  onFailure: (error: unknown) => void = () => undefined,
): Promise<T[]> => {
  let first: { error: unknown } | undefined;
  const watched = works.map(work =>
    work.catch((error: unknown) => {
      if (first === undefined) {
        first = { error };
        onFailure(error);
      }
      throw error;
    }),
  );
  const results = await Promise.allSettled(watched);
  if (first !== undefined) throw first.error;
  return results.flatMap(result => (result.status === "fulfilled" ? [result.value] : []));
};
