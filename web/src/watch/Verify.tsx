/** "Confirm your e-mail": an address, then six digits, then the tap that was refused is made again. */
import { useState } from "preact/hooks";
import { api, type Refusal } from "../shared/api";
import { refusalText, t } from "../shared/i18n";
import { Button, Sheet } from "../shared/ui";
import { reserve, showPass, verifyFor } from "./room";
import { keepPass } from "./session";

const close = (): void => void (verifyFor.value = null);

export default function Verify() {
  return (
    <Sheet open={verifyFor.value !== null} title={t("verify.title")} onClose={close} shape="centre">
      <Steps />
    </Sheet>
  );
}

function Steps() {
  const [email, setEmail] = useState("");
  const [sentTo, setSentTo] = useState("");
  const [code, setCode] = useState("");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");

  const doing = async (work: () => Promise<void>): Promise<void> => {
    setBusy(true);
    setWrong("");
    try {
      await work();
    } catch (refusal) {
      setWrong(refusalText(refusal as Refusal));
    } finally {
      setBusy(false);
    }
  };
  const next = async (): Promise<void> => {
    if (!sentTo) {
      await api.post("/api/me/verification", { email: email.trim() });
      setSentTo(email.trim());
      return;
    }
    const verified = await api.post<{ token: string }>("/api/me/verification/code", { code });
    keepPass(verified.token);
    showPass(verified.token);
    const wanted = verifyFor.value;
    close();
    if (wanted) reserve(wanted.dealIds, wanted.wait);
  };
  const typed = sentTo ? code : email;
  return (
    <form
      class="verify"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (typed.trim()) void doing(next);
        else setWrong(t(sentTo ? "verify.code_missing" : "verify.email_missing"));
      }}
    >
      <label class="field">
        <span class="field-label">{t(sentTo ? "verify.code" : "verify.email")}</span>
        {sentTo ? (
          <input
            key="code"
            class="input tabular"
            inputMode="numeric"
            autocomplete="one-time-code"
            maxLength={12}
            value={code}
            aria-invalid={wrong ? true : undefined}
            aria-describedby="verify-hint"
            onInput={(event) => setCode(event.currentTarget.value)}
          />
        ) : (
          <input
            key="email"
            class="input"
            type="email"
            autocomplete="email"
            maxLength={254}
            value={email}
            aria-invalid={wrong ? true : undefined}
            aria-describedby="verify-hint"
            onInput={(event) => setEmail(event.currentTarget.value)}
          />
        )}
        <span id="verify-hint" class={wrong ? "field-error" : "field-hint"} role={wrong ? "alert" : "status"}>
          {wrong || (sentTo ? t("verify.sent", { email: sentTo }) : t("verify.why"))}
        </span>
      </label>
      <Button type="submit" wide size="l" busy={busy}>
        {t(sentTo ? "verify.confirm" : "verify.send")}
      </Button>
      {sentTo && (
        <button
          type="button"
          class="text-button"
          onClick={() => {
            setSentTo("");
            setCode("");
            setWrong("");
          }}
        >
          {t("verify.again")}
        </button>
      )}
    </form>
  );
}
