/** All products: search, kinds, and a grid that grows by pages. The search is the server's; the words stay in the address. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { formatLocale, t } from "../shared/i18n";
import { money, percentOff } from "../shared/money";
import { Button, EmptyState, Icon, Picture } from "../shared/ui";
import { findProducts, shop, type ProductLine, type ProductPage } from "./server";

const SEARCH_AFTER_MS = 250;
const SWATCHES_SHOWN = 6;

export function Products(): JSX.Element {
  const asked = new URLSearchParams(location.search);
  const [query, setQuery] = useState(asked.get("q") ?? "");
  const [type, setType] = useState(asked.get("type") ?? "");
  const [page, setPage] = useState<ProductPage | null>(null);
  const [products, setProducts] = useState<readonly ProductLine[]>([]);
  const [trouble, setTrouble] = useState(false);
  const [more, setMore] = useState(false);
  const first = useRef(true);

  useEffect(() => {
    let wanted = true;
    const timer = setTimeout(
      () => {
        first.current = false;
        remember(query, type);
        findProducts(query.trim(), type, 1).then(
          (found) => {
            if (!wanted) return;
            setPage(found);
            setProducts(found.products);
            setTrouble(false);
          },
          () => wanted && setTrouble(true),
        );
      },
      first.current ? 0 : SEARCH_AFTER_MS,
    );
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [query, type]);

  const showMore = async (): Promise<void> => {
    if (!page) return;
    setMore(true);
    try {
      const next = await findProducts(query.trim(), type, page.page + 1);
      setPage(next);
      setProducts([...products, ...next.products]);
    } catch {
      setTrouble(true);
    } finally {
      setMore(false);
    }
  };

  const clear = (): void => {
    setQuery("");
    setType("");
  };

  return (
    <section class="products" id="products" aria-labelledby="products-title">
      <header class="section-head">
        <h2 id="products-title">{t("shop.products")}</h2>
        <p class="muted" role="status">
          {page ? t("shop.found", { count: page.found }) : ""}
        </p>
      </header>
      <form class="finder" role="search" onSubmit={(event) => event.preventDefault()}>
        <Icon name="search" size={20} />
        <label class="sr-only" for="find">
          {t("shop.find")}
        </label>
        <input
          id="find"
          type="search"
          class="input"
          autocomplete="off"
          placeholder={t("shop.find_example")}
          value={query}
          onInput={(event) => setQuery(event.currentTarget.value)}
        />
      </form>
      {page && page.types.length > 1 && (
        <div class="kinds" role="group" aria-label={t("shop.kinds")}>
          {["", ...page.types].map((one) => (
            <button key={one} type="button" class="kind" aria-pressed={type === one} onClick={() => setType(one)}>
              {one || t("shop.all")}
            </button>
          ))}
        </div>
      )}
      {trouble && (
        <p class="trouble" role="alert">
          {t("refusal.0")}
        </p>
      )}
      {!page && !trouble && (
        <ul class="grid" aria-busy="true">
          {Array.from({ length: 8 }, (_, i) => (
            <li key={i} class="bone" />
          ))}
        </ul>
      )}
      {page && products.length === 0 && (
        <EmptyState icon="search" title={t(page.types.length ? "shop.none_found" : "shop.shelf_empty")}>
          <p>{t(page.types.length ? "shop.none_found_text" : "shop.shelf_empty_text")}</p>
          {page.types.length > 0 && (
            <Button kind="soft" onClick={clear}>
              {t("shop.show_all")}
            </Button>
          )}
        </EmptyState>
      )}
      <ul class="grid">
        {products.map((product) => (
          <ProductCard key={product.product_id} product={product} />
        ))}
      </ul>
      {page && page.page < page.pages && (
        <p class="more">
          <Button kind="quiet" busy={more} onClick={() => void showMore()}>
            {t("shop.more")}
          </Button>
        </p>
      )}
    </section>
  );
}

function remember(query: string, type: string): void {
  const words = new URLSearchParams(location.search);
  for (const [name, value] of [
    ["q", query.trim()],
    ["type", type],
  ] as const)
    if (value) words.set(name, value);
    else words.delete(name);
  const rest = words.toString();
  history.replaceState(null, "", location.pathname + (rest ? `?${rest}` : "") + location.hash);
}

function ProductCard({ product }: { product: ProductLine }): JSX.Element {
  const price = money(product.price_from_minor, shop.value.currency, formatLocale());
  const ranged = product.price_to_minor > product.price_from_minor;
  const off = percentOff(product.price_from_minor, product.was_minor);
  const rest = product.swatches.length - SWATCHES_SHOWN;
  return (
    <li class={`card ${product.stock.availability === "sold_out" ? "card-out" : ""}`}>
      <a href={`/p/${encodeURIComponent(product.handle)}`}>
        <Picture src={product.image} name={product.title} class="card-picture" />
        {off > 0 && <span class="card-off tabular">−{off}%</span>}
        <span class="card-kind">{product.type || product.vendor}</span>
        <span class="card-title">{product.title}</span>
        {product.swatches.length > 0 && (
          <span class="card-swatches" aria-label={t("shop.shades", { count: product.swatches.length })} role="img">
            {product.swatches.slice(0, SWATCHES_SHOWN).map((colour, i) => (
              <span key={i} style={{ background: colour }} />
            ))}
            {rest > 0 && <span class="card-swatches-rest">+{rest}</span>}
          </span>
        )}
        <span class="card-price tabular">
          {ranged ? t("shop.from", { price }) : price}
          {off > 0 && product.was_minor !== null && (
            <s class="muted">{money(product.was_minor, shop.value.currency, formatLocale())}</s>
          )}
        </span>
        {product.stock.availability !== "in_stock" && (
          <span class={`card-stock stock-${product.stock.availability}`}>
            {t(`shop.stock_${product.stock.availability}`, { count: product.stock.left ?? 0 })}
          </span>
        )}
      </a>
    </li>
  );
}
