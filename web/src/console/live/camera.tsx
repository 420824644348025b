/** Who films? A phone by a code, or this device. The code signs the phone in as whoever sees it: once, ten minutes. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Refusal } from "../../shared/api";
import { refusalText, t } from "../../shared/i18n";
import { Icon, Sheet } from "../../shared/ui";
import { Complaint } from "../parts";
import { cameraLink, type CameraLink } from "../server";

export function CameraButton({ showId }: { showId: string }): JSX.Element {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" class="button button-quiet button-small" onClick={() => setOpen(true)}>
        <Icon name="video" size={18} /> <span>{t("console.cam_open")}</span>
      </button>
      <Sheet open={open} title={t("console.cam_sheet")} shape="centre" onClose={() => setOpen(false)}>
        <Ways showId={showId} />
      </Sheet>
    </>
  );
}

function Ways({ showId }: { showId: string }): JSX.Element {
  const [link, setLink] = useState<CameraLink | null>(null);
  const [complaint, setComplaint] = useState("");
  useEffect(() => {
    cameraLink(showId).then(setLink, (error: unknown) =>
      setComplaint(error instanceof Refusal ? refusalText(error) : String(error)),
    );
  }, [showId]);
  return (
    <div class="camera-ways">
      <h3>{t("console.cam_phone")}</h3>
      <Complaint text={complaint} />
      {link ? (
        <img class="qr" src={`data:image/svg+xml;utf8,${encodeURIComponent(link.qr_svg)}`} alt={t("console.cam_qr_alt")} />
      ) : (
        !complaint && <div class="qr bone" aria-busy="true" />
      )}
      <p class="muted">{t("console.cam_phone_text")}</p>
      <h3>{t("console.cam_here")}</h3>
      <a class="button button-soft" href={`/camera/${encodeURIComponent(showId)}`} target="_blank" rel="noopener">
        {t("console.cam_here_do")}
      </a>
    </div>
  );
}
