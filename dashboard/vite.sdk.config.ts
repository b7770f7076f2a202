import { fileURLToPath } from "node:url";

import { defineConfig } from "vite";

/** The SDK as one file beside the page, for pages without a build: `import { connect } from "http://.../tickcast.js"`. */
export default defineConfig({
  publicDir: false,
  build: {
    outDir: "../src/tickcast/gateway/page",
    emptyOutDir: false,
    target: "es2022",
    lib: {
      entry: fileURLToPath(new URL("../sdk/typescript/src/index.ts", import.meta.url)),
      formats: ["es"],
      fileName: () => "tickcast.js",
    },
  },
});
