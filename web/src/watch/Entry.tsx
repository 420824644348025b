/** The door: one field, one button, over the show's own poster. */
import { useState } from "preact/hooks";
import type { Refusal } from "../shared/api";
import { refusalText, t } from "../shared/i18n";
import type { ShowFacts } from "../shared/protocol";
import { Avatar, Button } from "../shared/ui";
import { comeIn } from "./session";

export function Entry({ show, onIn }: { show: ShowFacts; onIn: () => void }) {
  const [name, setName] = useState("");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");
  const live = show.status === "live" || show.status === "interrupted";
  const join = async (): Promise<void> => {
    if (!name.trim()) {
      setWrong(t("entry.name_missing"));
      return;
    }
    setBusy(true);
    setWrong("");
    try {
      await comeIn(name.trim());
      onIn();
    } catch (refusal) {
      setWrong(refusalText(refusal as Refusal));
      setBusy(false);
    }
  };
  return (
    <section class="entry" aria-labelledby="entry-title">
      <form
        class="entry-card"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void join();
        }}
      >
        <div class="entry-host">
          <Avatar name={show.host_name} size={52} />
          <div>
            <span class="entry-kicker">
              {live && <span class="tag tag-live">{t("live")}</span>} {t(`corner.${show.corner}`)}
            </span>
            <p dir="auto">{t("entry.with", { host: show.host_name })}</p>
          </div>
        </div>
        <h1 id="entry-title" dir="auto">
          {show.title}
        </h1>
        {show.about && (
          <p class="muted entry-about" dir="auto">
            {show.about}
          </p>
        )}
        <label class="field">
          <span class="field-label">{t("entry.name")}</span>
          <input
            class="input"
            name="name"
            value={name}
            maxLength={40}
            autocomplete="nickname"
            enterKeyHint="go"
            placeholder={t("entry.placeholder")}
            aria-invalid={wrong ? true : undefined}
            aria-describedby="entry-hint"
            onInput={(event) => setName(event.currentTarget.value)}
          />
          <span id="entry-hint" class={wrong ? "field-error" : "field-hint"} role={wrong ? "alert" : undefined}>
            {wrong || t("entry.hint")}
          </span>
        </label>
        <Button type="submit" wide size="l" busy={busy}>
          {t("entry.join")}
        </Button>
      </form>
    </section>
  );
}
