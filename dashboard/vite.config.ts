import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

import { docsAssets } from "./build/docsAssets.ts";

const GATEWAY = "http://127.0.0.1:8000";
const SDK = fileURLToPath(new URL("../sdk/typescript/src/index.ts", import.meta.url));

export default defineConfig({
  // Relative addresses: the gateway may be behind a path of a proxy.
  base: "./",
  // The SDK from its source: the page is built without a build of the SDK before it.
  resolve: { alias: [{ find: /^tickcast$/, replacement: SDK }] },
  plugins: [react(), docsAssets()],
  build: {
    outDir: "../src/tickcast/gateway/page",
    emptyOutDir: true,
    target: "es2022",
    // No data: addresses and no helper script, so that "default-src 'self'" is enough of a content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  // `npm run dev` beside a running gateway.
  server: {
    host: "127.0.0.1",
    fs: { allow: [".."] },
    proxy: {
      "/stream": { target: GATEWAY, ws: true },
      "/feeds": GATEWAY,
      "/latency": GATEWAY,
      "/symbols": GATEWAY,
    },
  },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
