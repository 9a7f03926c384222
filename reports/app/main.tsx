/** Starts the page: decodes the index, then draws. If that fails the reader is told, and still has the results on disk. */
import { render } from "preact";
import { readBundle } from "./data.ts";
import { Page } from "./page.tsx";
import "./base.css";
import "./page.css";
import "./cell.css";
import "./timeline.css";
import "./timing.css";

const root = document.getElementById("app");
if (root === null) throw new Error("The page has no place for the report.");
try {
  render(<Page bundle={await readBundle()} />, root);
} catch (error) {
  render(<p class="banner warn">This report cannot be shown: {String(error)}</p>, root);
}
