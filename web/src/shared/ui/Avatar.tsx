/** A person without a picture: her first letter on a colour that is always hers. */
const TONES = ["#7b4b52", "#6a5a3c", "#3f6158", "#4b5478", "#7a4f33", "#5f4a6e", "#44606e", "#6f4460"];

export function Avatar({ name, size = 36 }: { name: string; size?: number }) {
  const letter = [...name.trim()][0]?.toLocaleUpperCase() ?? "·";
  const tone = TONES[[...name].reduce((sum, char) => (sum * 31 + (char.codePointAt(0) ?? 0)) >>> 0, 7) % TONES.length];
  const style = { inlineSize: `${size}px`, blockSize: `${size}px`, background: tone, fontSize: `${size * 0.44}px` };
  return (
    <span class="avatar" style={style} aria-hidden="true">
      {letter}
    </span>
  );
}
