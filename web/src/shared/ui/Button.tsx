/** A button as the house draws it. `busy` keeps its place and its width, and says so to a screen reader. */
import type { ButtonHTMLAttributes, ComponentChildren } from "preact";
import { Icon, type IconName } from "./Icon";

type Native = Omit<ButtonHTMLAttributes, "icon" | "children" | "size">;

export interface ButtonProps extends Native {
  kind?: "primary" | "soft" | "quiet" | "danger";
  size?: "m" | "l";
  wide?: boolean;
  busy?: boolean;
  icon?: IconName;
  children?: ComponentChildren;
}

export function Button({ kind = "primary", size = "m", wide, busy, icon, children, class: extra, ...rest }: ButtonProps) {
  const name = ["button", `button-${kind}`, `button-${size}`, wide && "button-wide", busy && "is-busy", extra];
  return (
    <button type="button" {...rest} class={name.filter(Boolean).join(" ")} aria-busy={busy || undefined}>
      {icon && <Icon name={icon} size={20} />}
      <span class="button-words">{children}</span>
      {busy && <span class="spinner" aria-hidden="true" />}
    </button>
  );
}

/** A round button with an icon and words for those who do not see it. */
export function IconButton({ icon, label, badge, class: extra, ...rest }: Native & { icon: IconName; label: string; badge?: number }) {
  return (
    <button type="button" {...rest} class={`icon-button ${typeof extra === "string" ? extra : ""}`} aria-label={badge ? `${label}, ${badge > 99 ? "99+" : badge}` : label} title={label}>
      <Icon name={icon} />
      {badge ? (
        <span class="badge" aria-hidden="true">
          {badge > 99 ? "99+" : badge}
        </span>
      ) : null}
    </button>
  );
}
