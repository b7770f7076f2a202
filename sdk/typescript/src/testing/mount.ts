import type { ReactNode } from "react";
import { createRoot } from "react-dom/client";

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

/** A root of its own in the document of the test. */
export function mount(): { render(node: ReactNode): void; text(): string } {
  const place = document.createElement("div");
  const root = createRoot(place);
  return { render: (node) => root.render(node), text: () => place.textContent ?? "" };
}

/** The next animation frame, in which components are told what came. */
export function frame(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => resolve()));
}
