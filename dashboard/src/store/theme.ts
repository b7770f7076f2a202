/** Light, dark, or as the system has it. `public/theme.js` applies a kept choice before the first paint. */

import { Signal } from "./signal.ts";

export type ThemeChoice = "system" | "light" | "dark";

const KEY = "tickcast.theme";

export class ThemeStore {
  readonly choice: Signal<ThemeChoice>;
  readonly #root: { readonly dataset: DOMStringMap };
  readonly #storage: Pick<Storage, "getItem" | "setItem"> | null;

  constructor(root: { readonly dataset: DOMStringMap }, storage: Pick<Storage, "getItem" | "setItem"> | null) {
    this.#root = root;
    this.#storage = storage;
    const kept = storage?.getItem(KEY);
    this.choice = new Signal<ThemeChoice>(kept === "light" || kept === "dark" ? kept : "system");
    this.#apply();
  }

  set(choice: ThemeChoice): void {
    this.choice.set(choice);
    try {
      this.#storage?.setItem(KEY, choice);
    } catch {
      // The choice holds for this visit.
    }
    this.#apply();
  }

  #apply(): void {
    if (this.choice.value === "system") delete this.#root.dataset["theme"];
    else this.#root.dataset["theme"] = this.choice.value;
  }
}
