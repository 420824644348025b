/** The page's language, chosen by its own name. */
import { changeLocale, locale, LOCALES, t, type Locale } from "../shared/i18n";
import { Icon, Sheet } from "../shared/ui";

const NAMES: Record<Locale, string> = { en: "English", fr: "Français", "zh-Hans": "简体中文" };

export function Languages({ onClose }: { onClose: () => void }) {
  return (
    <Sheet open title={t("language")} onClose={onClose} shape="centre">
      <div class="choices" role="radiogroup" aria-label={t("language")}>
        {LOCALES.map((one) => (
          <button
            key={one}
            type="button"
            role="radio"
            aria-checked={locale.value === one}
            class="choice"
            lang={one}
            onClick={() => void changeLocale(one).then(onClose)}
          >
            {NAMES[one]}
            {locale.value === one && <Icon name="check" size={18} />}
          </button>
        ))}
      </div>
    </Sheet>
  );
}
