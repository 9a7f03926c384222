/**
 * The address of a thing in the page: `#cell=scenario/kernel/seed`, and `&line=120` for a line of its history. Links are
 * plain links, so they can be copied, opened elsewhere and walked back through.
 */
import { useEffect, useState } from "preact/hooks";

export interface Route {
  readonly cell?: string;
  readonly line?: number;
}

const encode = (text: string): string => encodeURIComponent(text).replaceAll("%2F", "/").replaceAll("%3A", ":");

export const cellHref = (cell: string, line?: number): string =>
  `#cell=${encode(cell)}${line === undefined ? "" : `&line=${line}`}`;

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // half an escape, typed by hand
  }
};

export const parseRoute = (hash: string): Route => {
  const fields = new Map<string, string>();
  for (const field of hash.replace(/^#/, "").split("&")) {
    const [name, ...value] = field.split("=");
    const text = decoded(value.join("="));
    if (name !== undefined && text !== undefined) fields.set(name, text);
  }
  const cell = fields.get("cell");
  const line = Number(fields.get("line"));
  return { ...(cell === undefined ? {} : { cell }), ...(Number.isInteger(line) && line > 0 ? { line } : {}) };
};

/** The current route; a new object on every change of the address, also to the same one. */
export const useRoute = (): Route => {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const onChange = () => {
      setRoute(parseRoute(location.hash));
    };
    addEventListener("hashchange", onChange);
    return () => {
      removeEventListener("hashchange", onChange);
    };
  }, []);
  return route;
};
