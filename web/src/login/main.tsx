/**
 * Staff sign in: e-mail and password, or a one-time link (`#code=`) that needs neither. What leaves: a session and the
 * way to where the person wanted to go. It does not know what anybody may do there.
 */
import { render, type JSX } from "preact";
import { useSignal } from "@preact/signals";
import "../shared/tokens.css";
import "../shared/base.css";
import "./login.css";
import { api, Refusal } from "../shared/api";
import { refusalText, startI18n, t } from "../shared/i18n";
import { takeFromFragment } from "../shared/identity";
import { enterByCode, wayOn } from "./enter";

await startI18n("login");
document.title = t("login.title");

const code = takeFromFragment("code");
let complaintAtStart = "";
if (code) {
  try {
    location.replace((await enterByCode(code)) || wayOn(location.search));
  } catch (error) {
    complaintAtStart = error instanceof Refusal ? t("login.code_gone") : t("refusal.0");
  }
}
render(<Login complaint={complaintAtStart} />, document.getElementById("main")!);

function Login({ complaint: first }: { complaint: string }): JSX.Element {
  const email = useSignal("");
  const password = useSignal("");
  const shown = useSignal(false);
  const busy = useSignal(false);
  const complaint = useSignal(first);

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!email.value.trim() || !password.value) {
      complaint.value = t("login.both");
      return;
    }
    busy.value = true;
    complaint.value = "";
    try {
      await api.post("/api/login", { email: email.value.trim(), password: password.value });
      location.assign(wayOn(location.search));
    } catch (error) {
      complaint.value = error instanceof Refusal ? refusalText(error) : t("refusal.0");
      busy.value = false;
    }
  };

  return (
    <div class="login">
      <section class="login-picture" aria-hidden="true">
        <p class="display">{t("login.motto")}</p>
      </section>
      <form class="login-form" onSubmit={(event) => void submit(event)} noValidate>
        <img src="/static/mark.svg" alt="" width="40" height="40" />
        <h1>{t("login.welcome")}</h1>
        <p class="muted">{t("login.for_staff")}</p>
        <p class="login-complaint" role="alert" hidden={!complaint.value}>
          {complaint.value}
        </p>
        <label>
          <span>{t("login.email")}</span>
          <input
            type="email"
            name="email"
            autocomplete="username"
            inputMode="email"
            required
            value={email.value}
            onInput={(event) => (email.value = event.currentTarget.value)}
          />
        </label>
        <div class="login-field">
          <label for="password">{t("login.password")}</label>
          <span class="login-secret">
            <input
              id="password"
              type={(shown.value ? "text" : "password") as "password"}
              name="password"
              autocomplete="current-password"
              required
              value={password.value}
              onInput={(event) => (password.value = event.currentTarget.value)}
            />
            <button type="button" aria-pressed={shown.value} onClick={() => (shown.value = !shown.value)}>
              {t(shown.value ? "login.hide" : "login.show")}
            </button>
          </span>
        </div>
        <button type="submit" class="login-go" disabled={busy.value} aria-busy={busy.value}>
          {t(busy.value ? "login.going" : "login.go")}
        </button>
        <p class="login-help muted">{t("login.help")}</p>
      </form>
    </div>
  );
}
