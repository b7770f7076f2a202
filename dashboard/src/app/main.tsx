import "./styles.css";

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { Page } from "../views/Page.tsx";
import { assemble } from "./assemble.ts";

const root = document.getElementById("root");
if (!root) throw new Error('expected an element with the id "root" in index.html, found none');
createRoot(root).render(
  <StrictMode>
    <Page services={assemble()} />
  </StrictMode>,
);
