/**
 * Builds the report app into one file, dist/app.html, that loads nothing: script and style are inside it, and its content
 * security policy allows those two by their hashes and nothing else. rig/report/html.ts fills in a run's data.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { defineConfig, type Plugin } from "vite";
import { viteSingleFile } from "vite-plugin-singlefile";

const hashOf = (html: string, tag: "script" | "style"): string => {
  const found = [...html.matchAll(new RegExp(`<${tag}[^>]*>([^]*?)</${tag}>`, "g"))];
  const text = found[0]?.[1];
  if (text === undefined || found.length > 1) {
    throw new Error(`Expected exactly one inline ${tag} in the built app, got ${found.length}.`);
  }
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
};

/** Puts the hashes of the inlined script and style where app.html's policy has their place-holders. */
const contentSecurityPolicy = (): Plugin => ({
  name: "rig:content-security-policy",
  enforce: "post",
  generateBundle: {
    order: "post",
    handler(_options, bundle) {
      const page = bundle["app.html"];
      if (page?.type !== "asset") throw new Error("Expected app.html in the bundle.");
      const html = String(page.source);
      page.source = html
        .replace("'sha256-SCRIPT'", () => hashOf(html, "script"))
        .replace("'sha256-STYLE'", () => hashOf(html, "style"));
    },
  },
});

export default defineConfig({
  root: join(import.meta.dirname, "app"),
  logLevel: "warn",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [viteSingleFile(), contentSecurityPolicy()],
  build: {
    outDir: join(import.meta.dirname, "dist"),
    emptyOutDir: true,
    target: "es2023",
    modulePreload: false,
    rolldownOptions: { input: join(import.meta.dirname, "app/app.html") },
  },
});
