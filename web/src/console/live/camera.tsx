/** Who films? A phone by a code, or this device. The code signs the phone in as whoever sees it: once, ten minutes. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Refusal } from "../../shared/api";
import { refusalText, t } from "../../shared/i18n";
import { Icon, Sheet } from "../../shared/ui";
import { Complaint } from "../parts";
import { cameraLink, encoderOf, type CameraLink, type EncoderFacts } from "../server";

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
  const [encoder, setEncoder] = useState<EncoderFacts | null>(null);
  useEffect(() => void encoderOf(showId).then(setEncoder, () => undefined), [showId]);
  if (encoder && !encoder.films) return <p role="alert">{t("console.cam_no_ffmpeg")}</p>;
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
      {encoder?.server && <Encoder facts={encoder} />}
    </div>
  );
}

/** What OBS asks for; the key is hidden until it is wanted, since whoever has it films this show. */
function Encoder({ facts }: { facts: EncoderFacts }): JSX.Element {
  const [shown, setShown] = useState(false);
  return (
    <>
      <h3>{t("console.cam_obs")}</h3>
      <label class="labelled">
        <span class="labelled-name">{t("console.cam_obs_server")}</span>
        <input class="input" readOnly value={facts.server} onFocus={(event) => event.currentTarget.select()} />
      </label>
      <label class="labelled">
        <span class="labelled-name">{t("console.cam_obs_key")}</span>
        <input
          class="input"
          readOnly
          type={(shown ? "text" : "password") as "text"}
          autocomplete="off"
          value={facts.key}
          onFocus={(event) => {
            setShown(true);
            event.currentTarget.select();
          }}
        />
      </label>
      <p class="muted">{t("console.cam_obs_text")}</p>
    </>
  );
}
