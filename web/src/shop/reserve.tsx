/** The buttons beside each place on a product's page: into the bag, or have it wait at the counter to be tried. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Refusal } from "../shared/api";
import { formatLocale, refusalText, t } from "../shared/i18n";
import { dayAndTime } from "../shared/time";
import { Button } from "../shared/ui";
import { askToTry, putInBag } from "./bag";
import type { Variant } from "./server";

type Outcome = { good: boolean; text: string } | null;

export function ReserveAt({ variant, place }: { variant: Variant; place: Variant["stock_by_location"][number] }): JSX.Element | null {
  const [busy, setBusy] = useState("");
  const [outcome, setOutcome] = useState<Outcome>(null);
  if (place.stock.availability === "sold_out") return null;
  const run = async (what: string, doing: () => Promise<string>): Promise<void> => {
    setBusy(what);
    setOutcome(null);
    try {
      setOutcome({ good: true, text: await doing() });
    } catch (error) {
      setOutcome({ good: false, text: error instanceof Refusal ? refusalText(error) : t("refusal.0") });
    } finally {
      setBusy("");
    }
  };
  const reserve = async (): Promise<string> => {
    await putInBag(place.location_id, variant.variant_id);
    return t("shop.in_bag");
  };
  const tryIt = async (): Promise<string> => {
    const told = await askToTry(place.location_id, variant.variant_id);
    return t("shop.try_kept", { code: told.code, when: dayAndTime(told.until_ms, formatLocale()) });
  };
  const name = place.kind === "warehouse" ? t("shop.by_parcel") : place.name;
  return (
    <div class="reserve">
      <Button busy={busy === "bag"} disabled={busy !== ""} aria-label={t("shop.reserve_at", { place: name })} onClick={() => void run("bag", reserve)}>
        {t("shop.reserve")}
      </Button>
      {place.kind === "shop" && (
        <Button kind="quiet" busy={busy === "try"} disabled={busy !== ""} aria-label={t("shop.try_at", { place: name })} onClick={() => void run("try", tryIt)}>
          {t("shop.try")}
        </Button>
      )}
      <p class={outcome?.good === false ? "field-error" : "reserve-done"} role="status">
        {outcome?.text}
        {outcome?.good && (
          <>
            {" "}
            <a href="/bag">{t("shop.to_bag")}</a>
          </>
        )}
      </p>
    </div>
  );
}
