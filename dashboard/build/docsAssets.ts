import { copyFile, mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import type { Plugin } from "vite";

/** What the API reference at /docs needs to work without a network. */
const FILES = ["swagger-ui-bundle.js", "swagger-ui-bundle.js.LICENSE.txt", "swagger-ui.css", "LICENSE", "NOTICE"];

/** Copy the API reference's script and style into `docs/` of the built page. */
export function docsAssets(): Plugin {
  let target = "";
  return {
    name: "tickcast-docs-assets",
    apply: "build",
    configResolved(config) {
      target = join(config.root, config.build.outDir, "docs");
    },
    async closeBundle() {
      const source = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
      await mkdir(target, { recursive: true });
      await Promise.all(FILES.map((file) => copyFile(join(source, file), join(target, file))));
    },
  };
}
