/** A Debian file system made from packages alone by mmdebstrap, with the machine's own mirrors. */
import { runOk } from "../core/exec.ts";
import { acquireOptions, machineMirrors, sourcesFor } from "./apt.ts";

export interface BootstrapRequest {
  readonly suite: string;
  readonly packages: readonly string[];
  /** A directory to make, or a path that ends in `.tar`. */
  readonly target: string;
  readonly signal?: AbortSignal | undefined;
  readonly onLine?: (line: string) => void;
}

/** What no lab needs: documentation, translations and the like, kept out while unpacking. */
const EXCLUDE = [
  "/usr/share/man/*",
  "/usr/share/doc/*",
  "/usr/share/info/*",
  "/usr/share/locale/*",
  "/usr/share/lintian/*",
  "/usr/share/bash-completion/*",
];

export const bootstrap = async (request: BootstrapRequest): Promise<void> => {
  const { suite, signal } = request;
  const sources = sourcesFor(await machineMirrors(signal), [suite, `${suite}-updates`, `${suite}-security`]);
  const options = [
    'Acquire::Retries "3"',
    'Acquire::Languages "none"',
    'Apt::Install-Recommends "false"',
    ...(await acquireOptions(signal)),
  ];
  await runOk(
    [
      "mmdebstrap",
      "--mode=root",
      "--variant=apt",
      "--architectures=amd64",
      `--include=${request.packages.join(",")}`,
      ...EXCLUDE.map(pattern => `--dpkgopt=path-exclude=${pattern}`),
      ...options.map(option => `--aptopt=${option}`),
      suite,
      request.target,
      "-",
    ],
    "RIG_IMAGE_BUILD",
    {
      signal,
      input: sources,
      env: { SOURCE_DATE_EPOCH: "1700000000", DEBIAN_FRONTEND: "noninteractive" },
      ...(request.onLine === undefined ? {} : { onLine: request.onLine }),
    },
  );
};
