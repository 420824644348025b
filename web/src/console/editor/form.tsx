/** The facts of a show as a form: corner with its meaning, title, date, access, picture. It does not save by itself. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Refusal } from "../../shared/api";
import { refusalText, t } from "../../shared/i18n";
import type { ShowFacts } from "../../shared/protocol";
import { Button } from "../../shared/ui";
import { Complaint, Field } from "../parts";
import type { ShowDraft } from "../server";
import { instantOf, localText } from "./dates";
import { PictureFields, pictureOf, videoOf, wrongWith } from "./picture";

const CORNERS: readonly ShowFacts["corner"][] = [
  "new_product_day",
  "family_day",
  "cloud_class",
  "flash_sale",
  "members_evening",
  "open_house",
];
const ACCESS: readonly ShowFacts["access"][] = ["public", "invited", "members"];

interface Props {
  show?: ShowFacts;
  submit: string;
  onSubmit: (draft: ShowDraft) => Promise<void>;
}

export function ShowForm({ show, submit, onSubmit }: Props): JSX.Element {
  const [corner, setCorner] = useState<ShowFacts["corner"]>(show?.corner ?? "flash_sale");
  const [title, setTitle] = useState(show?.title ?? "");
  const [about, setAbout] = useState(show?.about ?? "");
  const [starts, setStarts] = useState(localText(show?.scheduled_at_ms ?? null));
  const [launch, setLaunch] = useState(localText(show?.launch_at_ms ?? null));
  const [access, setAccess] = useState<ShowFacts["access"]>(show?.access ?? "public");
  const [picture, setPicture] = useState(pictureOf(show?.video));
  const [limit, setLimit] = useState(show?.limit_per_person ? String(show.limit_per_person) : "");
  const [complaint, setComplaint] = useState("");
  const [busy, setBusy] = useState(false);

  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!title.trim()) {
      setComplaint(t("console.title_missing"));
      document.getElementById("show-title")?.focus();
      return;
    }
    if (!/^\s*\d{0,5}\s*$/.test(limit)) {
      setComplaint(t("console.wrong_show_limit"));
      document.getElementById("show-limit")?.focus();
      return;
    }
    if (wrongWith(picture)) {
      setComplaint(t(wrongWith(picture)));
      document.getElementById("show-picture")?.focus();
      return;
    }
    setBusy(true);
    setComplaint("");
    try {
      await onSubmit({
        title: title.trim(),
        about: about.trim(),
        corner,
        access,
        scheduled_at_ms: instantOf(starts),
        launch_at_ms: corner === "new_product_day" ? instantOf(launch) : null,
        limit_per_person: Number(limit.trim() || 0),
        video: videoOf(picture, show?.video),
      });
    } catch (error) {
      setComplaint(error instanceof Refusal ? refusalText(error) : String(error));
    } finally {
      setBusy(false);
    }
  };

  return (
    <form class="show-form" onSubmit={(event) => void save(event)} noValidate>
      <fieldset class="corners" disabled={!!show}>
        <legend class="labelled-name">{t("console.corner")}</legend>
        {CORNERS.map((one) => (
          <label key={one} class={`corner-choice ${corner === one ? "chosen" : ""}`}>
            <input
              type="radio"
              name="corner"
              class="sr-only"
              checked={corner === one}
              onChange={() => setCorner(one)}
            />
            <span class={`corner corner-${one}`} aria-hidden="true" />
            <span>
              <strong>{t(`console.corner_${one}`)}</strong>
              <span class="muted">{t(`console.corner_${one}_is`)}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <Field label={t("console.show_title")}>
        <input
          id="show-title"
          class="input"
          maxLength={120}
          value={title}
          placeholder={t("console.show_title_example")}
          onInput={(event) => setTitle(event.currentTarget.value)}
        />
      </Field>
      <div class="pair">
        <Field label={t("console.starts")} help={t("console.starts_help")}>
          <input
            class="input"
            type="datetime-local"
            value={starts}
            onInput={(event) => setStarts(event.currentTarget.value)}
          />
        </Field>
        {corner === "new_product_day" && (
          <Field label={t("console.launch")} help={t("console.launch_help")}>
            <input
              class="input"
              type="datetime-local"
              value={launch}
              onInput={(event) => setLaunch(event.currentTarget.value)}
            />
          </Field>
        )}
      </div>
      <fieldset class="choice-row">
        <legend class="labelled-name">{t("console.access")}</legend>
        {ACCESS.map((one) => (
          <label key={one} class={`chip ${access === one ? "chosen" : ""}`}>
            <input
              type="radio"
              name="access"
              class="sr-only"
              checked={access === one}
              onChange={() => setAccess(one)}
            />
            {t(`console.access_${one}`)}
          </label>
        ))}
        <p class="labelled-help">{t(`console.access_${access}_is`)}</p>
      </fieldset>
      <Field label={t("console.show_limit")} help={t("console.show_limit_help")}>
        <input
          id="show-limit"
          class="input"
          inputMode="numeric"
          placeholder={t("console.no_cap")}
          value={limit}
          onInput={(event) => setLimit(event.currentTarget.value)}
        />
      </Field>
      <PictureFields show={show} picture={picture} onChange={setPicture} />
      <Field label={t("console.about")}>
        <textarea
          class="input"
          rows={3}
          maxLength={2000}
          value={about}
          onInput={(event) => setAbout(event.currentTarget.value)}
        />
      </Field>
      <Complaint text={complaint} />
      <Button type="submit" size="l" wide busy={busy}>
        {submit}
      </Button>
    </form>
  );
}
