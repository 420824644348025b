/** The link viewers come by, with its QR code; and invitations with a number of places. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Refusal } from "../../shared/api";
import { refusalText, t } from "../../shared/i18n";
import type { ShowFacts } from "../../shared/protocol";
import { Button } from "../../shared/ui";
import { Complaint, CopyLine, Field } from "../parts";
import { invitationsOf, invite, shareLink, type Invitation, type ShareLink } from "../server";

export function SharePanel({ showId, access }: { showId: string; access: ShowFacts["access"] }): JSX.Element {
  const [link, setLink] = useState<ShareLink | null>(null);
  const [complaint, setComplaint] = useState("");
  useEffect(() => {
    shareLink(showId).then(setLink, (error: unknown) =>
      setComplaint(error instanceof Refusal ? refusalText(error) : ""),
    );
  }, [showId]);
  return (
    <aside class="editor-side">
      <section class="panel share" aria-labelledby="share-title">
        <h2 id="share-title">{t("console.share")}</h2>
        <p class="muted">{t("console.share_text")}</p>
        <Complaint text={complaint} />
        {link ? (
          <>
            <img
              class="qr"
              src={`data:image/svg+xml;utf8,${encodeURIComponent(link.qr_svg)}`}
              alt={t("console.qr_alt")}
            />
            <CopyLine text={link.url} label={t("console.link")} />
          </>
        ) : (
          !complaint && <div class="qr bone" aria-busy="true" />
        )}
      </section>
      {access === "invited" && <Invitations showId={showId} />}
    </aside>
  );
}

function Invitations({ showId }: { showId: string }): JSX.Element {
  const [list, setList] = useState<readonly Invitation[]>([]);
  const [label, setLabel] = useState("");
  const [places, setPlaces] = useState("30");
  const [complaint, setComplaint] = useState("");
  const load = (): Promise<void> => invitationsOf(showId).then((answer) => setList(answer.invitations));
  useEffect(() => void load().catch(() => setComplaint(t("refusal.0"))), [showId]);
  const add = async (event: Event): Promise<void> => {
    event.preventDefault();
    const count = Number(places);
    if (!Number.isInteger(count) || count < 1) {
      setComplaint(t("console.places_wrong"));
      return;
    }
    setComplaint("");
    try {
      await invite(showId, label.trim(), count);
      setLabel("");
      await load();
    } catch (error) {
      setComplaint(error instanceof Refusal ? refusalText(error) : String(error));
    }
  };
  return (
    <section class="panel invitations" aria-labelledby="invitations-title">
      <h2 id="invitations-title">{t("console.invitations")}</h2>
      <p class="muted">{t("console.invitations_text")}</p>
      <ul>
        {list.map((one) => (
          <li key={one.invitation_id}>
            <p>
              <strong>{one.label || t("console.invitation")}</strong>{" "}
              <span class="tabular muted">
                {t("console.places", { taken: one.places_taken, limit: one.place_limit })}
              </span>
            </p>
            <progress
              max={one.place_limit}
              value={one.places_taken}
              aria-label={one.label || t("console.invitation")}
            />
            <CopyLine text={one.url} label={t("console.link")} />
          </li>
        ))}
      </ul>
      <form class="pair" onSubmit={(event) => void add(event)} noValidate>
        <Field label={t("console.invitation_for")}>
          <input class="input" maxLength={60} value={label} onInput={(event) => setLabel(event.currentTarget.value)} />
        </Field>
        <Field label={t("console.place_limit")}>
          <input
            class="input"
            inputMode="numeric"
            value={places}
            onInput={(event) => setPlaces(event.currentTarget.value)}
          />
        </Field>
        <Button type="submit" kind="soft">
          {t("console.invite")}
        </Button>
      </form>
      <Complaint text={complaint} />
    </section>
  );
}
