export { type HopLatency, type LatencyReport, RestClient, type SymbolInfo } from "./rest.ts";
