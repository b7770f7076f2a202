import { ConnectionBanner } from "./ConnectionStatus.tsx";
import { FeedPanel } from "./FeedPanel.tsx";
import { Header } from "./Header.tsx";
import { LatencyPanel } from "./LatencyPanel.tsx";
import { LedgerPanel } from "./LedgerPanel.tsx";
import { type Services, ServicesContext } from "./services.ts";
import { WatchTable } from "./WatchTable.tsx";

/** The whole page, for given services. */
export function Page({ services }: { readonly services: Services }) {
  return (
    <ServicesContext value={services}>
      <Header />
      <ConnectionBanner />
      <main className="layout">
        <div className="main-column">
          <WatchTable />
          <LedgerPanel />
        </div>
        <aside className="side" aria-label="Operations">
          <FeedPanel />
          <LatencyPanel />
        </aside>
      </main>
    </ServicesContext>
  );
}
