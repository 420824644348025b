/** How a deal stands, as one bar: sold, paying, held, and what is free. The words beside it say the same. */
import type { Numbers } from "../fold";

export function StockBar({ numbers, label }: { numbers: Numbers; label: string }) {
  const total = numbers.available + numbers.held + numbers.paying + numbers.sold;
  const share = (units: number): string => `${total > 0 ? (units / total) * 100 : 0}%`;
  const low = numbers.available > 0 && numbers.available <= Math.max(3, total * 0.15);
  return (
    <div class={`stock-bar ${low ? "is-low" : ""}`} role="img" aria-label={label}>
      <span class="stock-sold" style={{ inlineSize: share(numbers.sold) }} />
      <span class="stock-paying" style={{ inlineSize: share(numbers.paying) }} />
      <span class="stock-held" style={{ inlineSize: share(numbers.held) }} />
    </div>
  );
}
