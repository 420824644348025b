/** All products of the show in a half-height sheet, the one on the picture first; the picture goes on. */
import { t } from "../shared/i18n";
import { EmptyState, Sheet } from "../shared/ui";
import { LiveCard } from "./Card";
import { room } from "./room";

export function Drawer({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { cards, onAir } = room.value;
  const sorted = [...cards].sort((a, b) => Number(b.card_id === onAir) - Number(a.card_id === onAir));
  return (
    <Sheet open={open} title={t("drawer.title")} onClose={onClose}>
      {sorted.length === 0 && (
        <EmptyState icon="sparkle" title={t("drawer.empty")}>
          {t("drawer.empty_text")}
        </EmptyState>
      )}
      <ul class="drawer">
        {sorted.map((card) => (
          <li key={card.card_id}>
            {card.card_id === onAir && <span class="tag tag-live">{t("drawer.now")}</span>}
            <LiveCard card={card} inList />
            {card.product_handle && (
              <a class="drawer-link" href={`/p/${encodeURIComponent(card.product_handle)}`} target="_blank" rel="noopener">
                {t("drawer.more")}
              </a>
            )}
          </li>
        ))}
      </ul>
    </Sheet>
  );
}
