/** A place with nothing in it yet: says what would stand here and, where there is one, what to do. */
import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./Icon";

export function EmptyState({ icon, title, children }: { icon: IconName; title: string; children?: ComponentChildren }) {
  return (
    <div class="empty-state">
      <span class="empty-icon">
        <Icon name={icon} size={28} />
      </span>
      <h3 class="display">{title}</h3>
      {children && <div class="empty-words">{children}</div>}
    </div>
  );
}
