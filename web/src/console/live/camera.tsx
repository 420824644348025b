/**
 * Where this show's picture comes from, and how to send it: a phone by a code, this device, OBS, an encoder that speaks
 * SRT, a film, or another server. The code signs the phone in as whoever sees it: once, ten minutes.
 */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Refusal } from "../../shared/api";
import { refusalText, t } from "../../shared/i18n";
import type { ShowFacts } from "../../shared/protocol";
import { Button, Icon, Sheet } from "../../shared/ui";
import { FilmPanel } from "../film";
import { Complaint, CopyLine } from "../parts";
import {
  cameraLink, encoderOf, openSrt, videoSources, type CameraLink, type EncoderFacts, type Ingest, type Sources, type SrtFacts,
} from "../server";

export function CameraButton({ show }: { show: ShowFacts }): JSX.Element {
  const [open, setOpen] = useState(false);
  const camera = show.video.kind === "own" && show.video.source !== "film";
  return (
    <>
      <button type="button" class="button button-quiet button-small" onClick={() => setOpen(true)}>
        <Icon name="video" size={18} /> <span>{t(camera ? "console.cam_open" : "source.picture")}</span>
      </button>
      <Sheet open={open} title={t(camera ? "console.cam_sheet" : "source.picture")} shape="centre" onClose={() => setOpen(false)}>
        {open && <Ways show={show} camera={camera} />}
      </Sheet>
    </>
  );
}

const said = (error: unknown): string => (error instanceof Refusal ? refusalText(error) : String(error));

function Ways({ show, camera }: { show: ShowFacts; camera: boolean }): JSX.Element {
  const [encoder, setEncoder] = useState<EncoderFacts | null>(null);
  const [sources, setSources] = useState<Sources | null>(null);
  const [complaint, setComplaint] = useState("");
  useEffect(() => {
    encoderOf(show.show_id).then(setEncoder, (error: unknown) => setComplaint(said(error)));
    videoSources().then(setSources, () => undefined);
  }, [show.show_id]);
  const here = camera || show.video.source === "film";
  if (encoder && here && !encoder.films) return <p role="alert">{t("console.cam_no_ffmpeg")}</p>;
  return (
    <div class="camera-ways">
      <Complaint text={complaint} />
      {camera && <Phone showId={show.show_id} />}
      {camera && encoder && <Encoders showId={show.show_id} facts={encoder} />}
      {show.video.source === "film" && <FilmPanel show={show} megabytesMax={sources?.film_mb_max ?? 2048} />}
      {!here && <Elsewhere show={show} ways={encoder?.ways ?? []} />}
    </div>
  );
}

function Phone({ showId }: { showId: string }): JSX.Element {
  const [link, setLink] = useState<CameraLink | null>(null);
  const [complaint, setComplaint] = useState("");
  useEffect(() => {
    cameraLink(showId).then(setLink, (error: unknown) => setComplaint(said(error)));
  }, [showId]);
  return (
    <>
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
    </>
  );
}

/** What OBS and other encoders ask for; a key is hidden until it is wanted, since whoever has it films this show. */
function Encoders({ showId, facts }: { showId: string; facts: EncoderFacts }): JSX.Element {
  const [srt, setSrt] = useState<SrtFacts | null>(facts.srt);
  const [complaint, setComplaint] = useState("");
  const open = (): void => void openSrt(showId).then(setSrt, (error: unknown) => setComplaint(said(error)));
  return (
    <>
      <h3>{t("console.cam_obs")}</h3>
      {facts.server ? (
        <>
          <Named name={t("console.cam_obs_server")}>
            <CopyLine text={facts.server} label={t("console.cam_obs_server")} />
          </Named>
          <Named name={t("console.cam_obs_key")}>
            <CopyLine text={facts.key} label={t("console.cam_obs_key")} secret />
          </Named>
          <p class="muted">{t("console.cam_obs_text")}</p>
        </>
      ) : (
        <p class="muted">{t("source.no_rtmp")}</p>
      )}
      {srt && (
        <>
          <h3>{t("source.srt")}</h3>
          <Complaint text={complaint} />
          {srt.server ? (
            <>
              <Named name={t("source.srt_address")}>
                <CopyLine text={`${srt.server}?mode=caller`} label={t("source.srt_address")} />
              </Named>
              <Named name={t("source.srt_passphrase")}>
                <CopyLine text={srt.passphrase} label={t("source.srt_passphrase")} secret />
              </Named>
              {srt.said && (
                <p class="complaint" role="alert">
                  {t("source.srt_said", { said: srt.said })}
                </p>
              )}
              <p class="muted">{t("source.srt_text")}</p>
            </>
          ) : (
            <>
              <p class="muted">{t("source.srt_closed")}</p>
              <Button kind="soft" onClick={open}>
                {t("source.srt_open")}
              </Button>
            </>
          )}
        </>
      )}
    </>
  );
}

/** A picture that is sent to another server, or only fetched there. */
function Elsewhere({ show, ways }: { show: ShowFacts; ways: readonly Ingest[] }): JSX.Element {
  return (
    <>
      {ways.map((way) => (
        <section key={way.protocol}>
          <h3>{t(`source.way_${way.protocol}`)}</h3>
          <Named name={t("console.cam_obs_server")}>
            <CopyLine text={way.server} label={t("console.cam_obs_server")} secret={!way.key} />
          </Named>
          {way.key && (
            <Named name={t("source.token")}>
              <CopyLine text={way.key} label={t("source.token")} secret />
            </Named>
          )}
        </section>
      ))}
      {ways.length > 0 ? (
        <p class="muted">{t("source.ways_text")}</p>
      ) : (
        <p>{t(show.video.kind === "youtube" ? "source.at_youtube" : "source.at_elsewhere")}</p>
      )}
      {!show.video.signed && show.video.url && (
        <Named name={t("source.address")}>
          <CopyLine text={show.video.url} label={t("source.address")} />
        </Named>
      )}
      <p class="muted">
        {show.video.clock === "fixed" ? t("source.delay_is", { seconds: show.video.delay_ms / 1000 }) : t(`source.clock_${show.video.clock}`)}
      </p>
      <a class="button button-quiet" href={`/console/shows/${encodeURIComponent(show.show_id)}?edit`}>
        {t("source.change")}
      </a>
    </>
  );
}

function Named({ name, children }: { name: string; children: ComponentChildren }): JSX.Element {
  return (
    <div class="labelled">
      <span class="labelled-name">{name}</span>
      {children}
    </div>
  );
}
