/** How she wants to see the show: picture or data saver, captions, a window of its own; and the keys, on a desk. */
import { t } from "../shared/i18n";
import { Button, Icon, Sheet, toast } from "../shared/ui";
import { deviceSaves, pictureChoice, withoutPicture } from "../shared/viewing";
import { captionChoice, CAPTIONS, chooseCaptions, choosePicture, PICTURES } from "../shared/wishes";
import { picture, playing } from "./seen";

const KEYS: readonly (readonly [string, string])[] = [["K", "play"], ["M", "sound"], ["L", "live"], ["C", "chat"], ["B", "bag"]];

export function Viewing({ onClose }: { onClose: () => void }) {
  return (
    <Sheet open title={t("viewing.title")} onClose={onClose} shape="centre">
      <Choices
        name="viewing.picture"
        words={PICTURES}
        chosen={pictureChoice.value}
        onChoose={choosePicture}
        say={(word) => (word === "auto" ? t(deviceSaves.value ? "viewing.picture_auto_saves" : "viewing.picture_auto_is") : t(`viewing.picture_${word}_is`))}
      />
      <Choices name="viewing.captions" words={CAPTIONS} chosen={captionChoice.value} onChoose={chooseCaptions} />
      {document.pictureInPictureEnabled && (
        <Button kind="soft" icon="video" disabled={!playing.value || withoutPicture.value} onClick={() => void float().then(onClose)}>
          {t("viewing.window")}
        </Button>
      )}
      <dl class="viewing-keys only-desk">
        {KEYS.map(([key, does]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{t(`viewing.key_${does}`)}</dd>
          </div>
        ))}
      </dl>
    </Sheet>
  );
}

interface ChoicesProps<T extends string> {
  name: string;
  words: readonly T[];
  chosen: T;
  onChoose: (word: T) => void;
  say?: (word: T) => string;
}

function Choices<T extends string>({ name, words, chosen, onChoose, say }: ChoicesProps<T>) {
  return (
    <section class="viewing">
      <h3 id={name}>{t(name)}</h3>
      <div class="choices" role="radiogroup" aria-labelledby={name}>
        {words.map((word) => (
          <button key={word} type="button" role="radio" aria-checked={word === chosen} class="choice" onClick={() => onChoose(word)}>
            <span>
              {t(`${name}_${word}`)}
              {say && <small>{say(word)}</small>}
            </span>
            {word === chosen && <Icon name="check" size={18} />}
          </button>
        ))}
      </div>
    </section>
  );
}

/** The picture over all windows, while she looks at the shop. */
async function float(): Promise<void> {
  try {
    if (document.pictureInPictureElement) await document.exitPictureInPicture();
    else await picture.video?.requestPictureInPicture();
  } catch {
    toast(t("viewing.window_failed"), "bad");
  }
}
