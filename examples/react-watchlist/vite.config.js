import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// One React for the page and the hooks, wherever the SDK lies.
export default defineConfig({ base: "./", plugins: [react()], resolve: { dedupe: ["react", "react-dom"] } });
