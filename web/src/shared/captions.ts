/** How long a line of captions takes to be read; the server's replay counts the same (shows/captions.py). */
const MS_MIN = 2_500;
const MS_MAX = 8_000;
const MS_PER_LETTER = 75;
const MS_PER_IDEOGRAM = 220;
const FIRST_IDEOGRAM = "\u2e80";

export function standsMs(text: string): number {
  const reading = [...text].reduce((sum, letter) => sum + (letter >= FIRST_IDEOGRAM ? MS_PER_IDEOGRAM : MS_PER_LETTER), 0);
  return Math.max(MS_MIN, Math.min(MS_MAX, reading));
}
