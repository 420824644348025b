/** "Confirm with a code": an address or a number, then six digits, then the tap that was refused is made again. */
import { useEffect, useState } from "preact/hooks";
import { api, type Refusal } from "../shared/api";
import { refusalText, t } from "../shared/i18n";
import { Button, Sheet } from "../shared/ui";
import { verified } from "./acts";
import { verifyFor } from "./room";

export function Verify() {
  return (
    <Sheet open={!!verifyFor.value} title={t("act.verify")} onClose={() => (verifyFor.value = null)} shape="centre">
      <Steps />
    </Sheet>
  );
}

interface Ways {
  email: boolean;
  phone: boolean;
}

function Steps() {
  const [ways, setWays] = useState<Ways>({ email: true, phone: false });
  const [sentTo, setSentTo] = useState("");
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");
  useEffect(() => void api.get<Ways>("/api/me/verification").then(setWays, () => undefined), []);
  const where = ways.phone ? (ways.email ? "either" : "phone") : "email";
  const byText = sentTo !== "" && !sentTo.includes("@");
  const step = sentTo ? "code" : where;

  const next = async (): Promise<void> => {
    if (!sentTo) {
      const isPhone = ways.phone && !typed.includes("@");
      await api.post("/api/me/verification", isPhone ? { phone: typed } : { email: typed });
      setSentTo(typed);
      setTyped("");
      return;
    }
    verified((await api.post<{ token: string }>("/api/me/verification/code", { code: typed })).token);
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    if (!typed) return setWrong(t(`verify.${step}_missing`));
    setBusy(true);
    setWrong("");
    next()
      .catch((refusal: Refusal) => setWrong(refusalText(refusal)))
      .finally(() => setBusy(false));
  };
  return (
    <form class="verify" noValidate onSubmit={submit}>
      <label class="field">
        <span class="field-label">{t(byText ? "verify.text" : `verify.${step}`)}</span>
        <input
          key={step}
          class="input"
          inputMode={sentTo ? "numeric" : where === "phone" ? "tel" : "email"}
          autocomplete={sentTo ? "one-time-code" : where === "phone" ? "tel" : where === "email" ? "email" : "on"}
          maxLength={254}
          value={typed}
          aria-invalid={wrong ? true : undefined}
          aria-describedby="verify-hint"
          onInput={(event) => setTyped(event.currentTarget.value.trim())}
        />
        <span id="verify-hint" class={wrong ? "field-error" : "field-hint"} role={wrong ? "alert" : "status"}>
          {wrong || t(byText ? "verify.text_hint" : `verify.${step}_hint`, { email: sentTo })}
        </span>
      </label>
      <Button type="submit" wide size="l" busy={busy}>
        {t(`verify.${step}_send`)}
      </Button>
      {sentTo && (
        <button type="button" class="text-button" onClick={() => setSentTo("")}>
          {t("verify.again")}
        </button>
      )}
    </form>
  );
}
