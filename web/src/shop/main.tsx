/** The public shop: first page, programme, product page, by the address. Wires; draws nothing itself. */
import { render } from "preact";
import "../shared/tokens.css";
import "../shared/base.css";
import "../shared/ui";
import "./shop.css";
import { startI18n } from "../shared/i18n";
import { BagPage } from "./bagpage";
import { BasketPage } from "./basketpage";
import { Footer, Header } from "./frame";
import { HomePage } from "./home";
import { ProductView } from "./product";
import { loadShop, shop } from "./server";

// A shop whose facts do not come still shows its pages; each of them says what is missing.
await loadShop().catch(() => undefined);
await startI18n("shop", shop.value.locale);
document.title = shop.value.name || document.title;

const handle = /^\/p\/([^/]+)/.exec(location.pathname)?.[1];
const word = /^\/basket\/([^/]+)/.exec(location.pathname)?.[1];

function Page() {
  if (handle) return <ProductView handle={decodeURIComponent(handle)} />;
  if (word) return <BasketPage word={decodeURIComponent(word)} />;
  return location.pathname === "/bag" ? <BagPage /> : <HomePage />;
}

render(
  <>
    <Header />
    <Page />
    <Footer />
  </>,
  document.getElementById("main")!,
);
