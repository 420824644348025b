/** One product: pictures, shades, price, stock at every counter in words, what it is, and the show it is seen in. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Refusal } from "../shared/api";
import { formatLocale, refusalText, t } from "../shared/i18n";
import { money, percentOff } from "../shared/money";
import type { ShowFacts } from "../shared/protocol";
import { dayAndTime } from "../shared/time";
import { EmptyState, Icon, Picture, Swatch } from "../shared/ui";
import { ReserveAt } from "./reserve";
import { loadProduct, type Product, type StockWords, type Variant } from "./server";
import { showsWith } from "./seen";

export function ProductView({ handle }: { handle: string }): JSX.Element {
  const [product, setProduct] = useState<Product | null>(null);
  const [trouble, setTrouble] = useState<Refusal | null>(null);
  useEffect(() => {
    loadProduct(handle).then(
      (found) => {
        setProduct(found);
        document.title = found.title;
      },
      (error: unknown) => setTrouble(error instanceof Refusal ? error : Refusal.unreachable()),
    );
  }, [handle]);
  if (trouble)
    return (
      <section class="product-missing">
        <EmptyState icon="bag" title={t(trouble.number === 103 ? "shop.product_gone" : "shop.product_trouble")}>
          <p>{refusalText(trouble)}</p>
          <a class="button button-soft" href="/#products">
            {t("shop.to_products")}
          </a>
        </EmptyState>
      </section>
    );
  return product ? <Whole product={product} /> : <section class="product product-wait" aria-busy="true" />;
}

function Whole({ product }: { product: Product }): JSX.Element {
  const variants = product.variants.filter((variant) => !variant.retired);
  const [chosenId, setChosenId] = useState(
    (variants.find((one) => one.stock.availability !== "sold_out") ?? variants[0])?.variant_id ?? "",
  );
  const chosen = variants.find((one) => one.variant_id === chosenId) ?? variants[0];
  return (
    <article class="product">
      <p class="crumbs">
        <a href="/#products">{t("shop.products")}</a>
        {product.type && (
          <>
            {" / "}
            <a href={`/?type=${encodeURIComponent(product.type)}#products`}>{product.type}</a>
          </>
        )}
      </p>
      <Gallery product={product} chosen={chosen} />
      <div class="product-words">
        <p class="eyebrow">{product.vendor}</p>
        <h1>{product.title}</h1>
        {chosen && <Price variant={chosen} currency={product.currency} />}
        {variants.length > 1 && (
          <Shades name={product.option_names[0] ?? ""} variants={variants} chosen={chosen} onChoose={setChosenId} />
        )}
        <SeenIn handle={product.handle} />
        {chosen && <Stock variant={chosen} />}
        <Description html={product.body_html} />
        {product.details.length > 0 && (
          <dl class="details">
            {product.details.map((detail) => (
              <div key={detail.name}>
                <dt>{detail.name}</dt>
                <dd>{detail.text}</dd>
              </div>
            ))}
          </dl>
        )}
      </div>
    </article>
  );
}

function Gallery({ product, chosen }: { product: Product; chosen: Variant | undefined }): JSX.Element {
  const [picked, setPicked] = useState("");
  useEffect(() => setPicked(""), [chosen?.variant_id]);
  const main = picked || chosen?.image || product.images[0]?.large || "";
  return (
    <div class="gallery">
      <Picture src={main} name={product.title} class="gallery-main" eager />
      {product.images.length > 1 && (
        <ul class="gallery-small">
          {product.images.map((image, i) => (
            <li key={image.image_id}>
              <button
                type="button"
                aria-label={image.alt || t("shop.picture", { number: i + 1 })}
                aria-pressed={main === image.large}
                onClick={() => setPicked(image.large)}
              >
                <img src={image.small} alt="" loading="lazy" />
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Price({ variant, currency }: { variant: Variant; currency: string }): JSX.Element {
  const off = percentOff(variant.price_minor, variant.was_minor);
  return (
    <p class="product-price tabular">
      <strong>{money(variant.price_minor, currency, formatLocale())}</strong>
      {off > 0 && variant.was_minor !== null && (
        <>
          <s class="muted">
            <span class="sr-only">{t("shop.was")} </span>
            {money(variant.was_minor, currency, formatLocale())}
          </s>
          <span class="product-off">−{off}%</span>
        </>
      )}
    </p>
  );
}

function Shades(props: {
  name: string;
  variants: Variant[];
  chosen: Variant | undefined;
  onChoose: (variantId: string) => void;
}): JSX.Element {
  return (
    <fieldset class="product-shades">
      <legend>
        {props.name || t("shop.choose")} <strong>{props.chosen?.label}</strong>
      </legend>
      <div class="swatches">
        {props.variants.map((variant) => (
          <Swatch
            key={variant.variant_id}
            colour={variant.swatch}
            name={variant.label}
            words={stockWords(variant.stock)}
            chosen={variant.variant_id === props.chosen?.variant_id}
            soldOut={variant.stock.availability === "sold_out"}
            low={variant.stock.availability === "last"}
            group="shade"
            onChoose={() => props.onChoose(variant.variant_id)}
          />
        ))}
      </div>
    </fieldset>
  );
}

function stockWords(stock: StockWords): string {
  return t(`shop.stock_${stock.availability}`, { count: stock.left ?? 0 });
}

function Stock({ variant }: { variant: Variant }): JSX.Element {
  return (
    <section class="product-stock" aria-labelledby="stock-title">
      <h2 id="stock-title">{t("shop.where")}</h2>
      <ul>
        {variant.stock_by_location.map((place) => (
          <li key={place.location_id} class={`stock-${place.stock.availability}`}>
            <Icon name={place.kind === "shop" ? "shop" : "parcel"} size={20} />
            <span>{place.kind === "warehouse" ? t("shop.by_parcel") : place.name}</span>
            <strong>{stockWords(place.stock)}</strong>
            <ReserveAt key={variant.variant_id} variant={variant} place={place} />
          </li>
        ))}
        {variant.stock_by_location.length === 0 && (
          <li class={`stock-${variant.stock.availability}`}>
            <Icon name="parcel" size={20} />
            <span>{t("shop.in_our_shops")}</span>
            <strong>{stockWords(variant.stock)}</strong>
          </li>
        )}
      </ul>
    </section>
  );
}

/** The description as the merchant wrote it; the server took everything out of it that is not plain formatting. */
function Description({ html }: { html: string }): JSX.Element | null {
  return html ? <div class="product-text" dangerouslySetInnerHTML={{ __html: html }} /> : null;
}

function SeenIn({ handle }: { handle: string }): JSX.Element | null {
  const [shows, setShows] = useState<readonly ShowFacts[]>([]);
  useEffect(() => {
    showsWith(handle).then(setShows, () => setShows([]));
  }, [handle]);
  const show = shows[0];
  if (!show) return null;
  const live = show.status === "live" || show.status === "interrupted";
  return (
    <a class={`seen ${live ? "seen-live" : ""}`} href={`/watch/${encodeURIComponent(show.show_id)}`}>
      <Icon name="video" size={22} />
      <span>
        {live ? (
          <>
            <span class="live-mark">{t("live")}</span> {t("shop.seen_live")}
          </>
        ) : (
          t("shop.seen_soon", {
            when: show.scheduled_at_ms === null ? "" : dayAndTime(show.scheduled_at_ms, formatLocale()),
          })
        )}
        <strong>{show.title}</strong>
      </span>
      <Icon name="next" size={20} />
    </a>
  );
}
