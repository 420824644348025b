/** The questions of a show, each at the moment it was answered, or else asked; the one under answer now is marked. */
import type { JSX } from "preact";
import { t } from "../shared/i18n";
import type { Question } from "../shared/protocol";
import { placeText } from "../shared/time";
import type { Asked } from "./story";

interface QuestionsProps {
  asked: readonly Asked[];
  /** As they stand at the moment that is watched. */
  now: readonly Question[];
  begins: number;
  onGo: (ms: number) => void;
}

export function Questions({ asked, now, begins, onGo }: QuestionsProps): JSX.Element | null {
  if (!asked.length) return null;
  const answering = new Set(now.filter((one) => one.status === "answering").map((one) => one.question_id));
  return (
    <section class="replay-questions" aria-labelledby="replay-questions">
      <h2 id="replay-questions">{t("replay.questions")}</h2>
      <ol>
        {asked.map(({ question, askedMs, answeredMs }) => (
          <li key={question.question_id} aria-current={answering.has(question.question_id) || undefined}>
            <button type="button" class="chip tabular" aria-label={t("replay.go_to", { place: placeText((answeredMs ?? askedMs) - begins) })} onClick={() => onGo(answeredMs ?? askedMs)}>
              {placeText((answeredMs ?? askedMs) - begins)}
            </button>
            <div>
              <p dir="auto">
                <b>{question.name}</b> {question.text}
              </p>
              {question.answer && (
                <p class="replay-answer" dir="auto">
                  {question.answer}
                </p>
              )}
              <p class="muted">{t(answering.has(question.question_id) ? "replay.answering" : answeredMs === null ? "replay.unanswered" : "replay.answered")}</p>
            </div>
          </li>
        ))}
      </ol>
    </section>
  );
}
