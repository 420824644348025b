/** One shade to choose: its colour, its name, what is left of it. Sold out is crossed and said, never only coloured. */
export interface SwatchProps {
  colour: string;
  name: string;
  /** Short words under the name: "3 left", "sold out". */
  words: string;
  chosen: boolean;
  soldOut: boolean;
  low?: boolean;
  group: string;
  onChoose: () => void;
}

export function Swatch({ colour, name, words, chosen, soldOut, low, group, onChoose }: SwatchProps) {
  return (
    <label class={`swatch ${chosen ? "is-chosen" : ""} ${soldOut ? "is-sold-out" : ""} ${low ? "is-low" : ""}`}>
      <input type="radio" class="sr-only" name={group} checked={chosen} onChange={onChoose} />
      <span class="swatch-dot" style={colour ? { "--shade": colour } : undefined} aria-hidden="true" />
      <span class="swatch-name" dir="auto">
        {name}
      </span>
      <span class="swatch-words tabular">{words}</span>
    </label>
  );
}
