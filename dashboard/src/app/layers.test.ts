import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

const SOURCE = fileURLToPath(new URL("..", import.meta.url));

/** What a folder may import: of the other folders, and of packages. */
const ALLOWED: Record<string, { readonly folders: readonly string[]; readonly packages: readonly string[] }> = {
  wire: { folders: [], packages: ["tickcast"] },
  store: { folders: [], packages: ["tickcast"] },
  views: { folders: ["store", "wire"], packages: ["react", "tickcast"] },
  app: { folders: ["views", "store", "wire"], packages: ["react", "react-dom", "tickcast"] },
};

interface Import {
  readonly file: string;
  readonly isType: boolean;
  readonly target: string;
}

function importsOf(folder: string): Import[] {
  const files = readdirSync(join(SOURCE, folder)).filter((name) => /\.tsx?$/.test(name) && !name.includes(".test."));
  return files.flatMap((file) => {
    const text = readFileSync(join(SOURCE, folder, file), "utf8");
    const found = text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^;"]*?\sfrom\s+)?"([^"]+)";/gm);
    return [...found].map((match) => ({ file, isType: match[1] !== undefined, target: match[2] ?? "" }));
  });
}

test.each(Object.keys(ALLOWED))("%s imports only what is below it", (folder) => {
  const imports = importsOf(folder);
  expect(imports.length).toBeGreaterThan(0);
  const wrong = imports.filter(({ target }) => {
    if (target.startsWith("./")) return false;
    const other = /^\.\.\/([a-z]+)\//.exec(target)?.[1];
    if (other !== undefined) return !ALLOWED[folder]?.folders.includes(other);
    return !ALLOWED[folder]?.packages.includes(target.split("/")[0] ?? "");
  });
  expect(wrong).toEqual([]);
});

test("views know the stream by its types alone", () => {
  expect(importsOf("views").filter((one) => one.target.startsWith("../wire/") && !one.isType)).toEqual([]);
});

test("views open no connections", () => {
  for (const file of readdirSync(join(SOURCE, "views")).filter((name) => !name.includes(".test."))) {
    expect(readFileSync(join(SOURCE, "views", file), "utf8")).not.toMatch(/\bWebSocket\b|\bfetch\(|\bEventSource\b/);
  }
});

test("every file stays readable", () => {
  for (const folder of Object.keys(ALLOWED)) {
    for (const file of readdirSync(join(SOURCE, folder)).filter((name) => /\.tsx?$/.test(name))) {
      expect(readFileSync(join(SOURCE, folder, file), "utf8").split("\n").length, file).toBeLessThan(450);
    }
  }
});
