/** The house's icons: one stroke width, drawn here, inline. Decorative unless a `label` is given. */
const PATHS = {
  close: "M6 6l12 12M18 6 6 18",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  up: "M5 15l7-7 7 7",
  down: "M5 9l7 7 7-7",
  bag: "M6 8h12l1 12H5L6 8Zm3 0a3 3 0 0 1 6 0",
  heart: "M12 20s-7.5-4.6-7.5-10A4.3 4.3 0 0 1 12 7.2 4.3 4.3 0 0 1 19.5 10C19.5 15.4 12 20 12 20Z",
  chat: "M4 6.5A2.5 2.5 0 0 1 6.5 4h11A2.5 2.5 0 0 1 20 6.5v7a2.5 2.5 0 0 1-2.5 2.5H10l-4.5 4v-4A1.5 1.5 0 0 1 4 14.5Z",
  send: "M5 12h13M12.5 6 19 12l-6.5 6",
  question: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Zm-2.4-11.5a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.2.9-1.2 1.8m0 2.7v.1",
  sound: "M4 9.5v5h3.5L12 18V6L7.5 9.5ZM15.5 9a4 4 0 0 1 0 6m2.3-8.5a7.5 7.5 0 0 1 0 11",
  muted: "M4 9.5v5h3.5L12 18V6L7.5 9.5ZM16 9.7l4.6 4.6m0-4.6L16 14.3",
  play: "M8 5.5v13l10.5-6.5Z",
  pause: "M8.5 5.5v13m7-13v13",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12Zm9.5 2.7a2.7 2.7 0 1 0 0-5.4 2.7 2.7 0 0 0 0 5.4Z",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Zm0-14v5.2l3.3 2",
  check: "M5 12.5l4.5 4.5L19 7.5",
  alert: "M12 4 2.8 19.5h18.4ZM12 10v4.2m0 2.6v.1",
  info: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Zm0-9.7v5m0-8.3v.1",
  shop: "M4 10v9.5h16V10M3 10l1.8-5.5h14.4L21 10a3 3 0 0 1-6 0 3 3 0 0 1-6 0 3 3 0 0 1-6 0Zm7 9.5V15h4v4.5",
  parcel: "M4 8l8-4 8 4v8.5l-8 4-8-4Zm0 0 8 4m0 0 8-4m-8 4v8.5",
  calendar: "M5 6.5h14v13H5Zm0 4h14M8.5 4v4m7-4v4",
  share: "M12 15V4m0 0L8 8m4-4 4 4M5 13v6.5h14V13",
  pin: "M9 4h6l-.7 6 3.2 3H6.5l3.2-3ZM12 13v7",
  globe: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM3.5 12h17M12 3c2.5 2.6 3.6 5.6 3.6 9s-1.1 6.4-3.6 9c-2.5-2.6-3.6-5.6-3.6-9S9.5 5.6 12 3Z",
  user: "M12 12.5a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4.5 20a7.5 7.5 0 0 1 15 0",
  users: "M9 12a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7Zm-6.5 7.5a6.5 6.5 0 0 1 13 0M16 5.3a3.5 3.5 0 0 1 0 6.4m2.2 2.3a6.5 6.5 0 0 1 3.3 5.5",
  lock: "M6 11h12v9H6Zm2.5 0V8a3.5 3.5 0 0 1 7 0v3",
  gift: "M4.5 11h15v9h-15Zm-1-4h17v4h-17ZM12 7v13m0-13S7.5 7 7.5 4.7C7.5 2.5 12 3 12 7Zm0 0s4.5 0 4.5-2.3C16.5 2.5 12 3 12 7Z",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm5-2 4.5 4.5",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  trash: "M5 7h14M10 7V4.5h4V7m-7.5 0 .8 12.5h9.4L17.5 7",
  more: "M6 12v.01M12 12v.01M18 12v.01",
  mic: "M12 15a3 3 0 0 0 3-3V6.5a3 3 0 0 0-6 0V12a3 3 0 0 0 3 3Zm-6-3.5a6 6 0 0 0 12 0M12 17.5V21",
  video: "M3.5 7h11v10h-11Zm11 3.7 6-3.2v9l-6-3.2Z",
  wifiOff: "M3 3l18 18M5.5 11.5a10 10 0 0 1 3.3-2.1m3.7-.9a10 10 0 0 1 6 3M8.5 15a5 5 0 0 1 5.6-1M12 19v.1",
  card: "M3.5 6.5h17v11h-17Zm0 4h17M7 14.5h3",
  link: "M10 14a4 4 0 0 0 6 .4l2.8-2.8a4 4 0 0 0-5.7-5.7L12 7m2 3a4 4 0 0 0-6-.4l-2.8 2.8a4 4 0 0 0 5.7 5.7L12 17",
  qr: "M4 4h6v6H4Zm10 0h6v6h-6ZM4 14h6v6H4Zm10 0h2.5v2.5H14Zm3.5 3.5H20V20h-2.5ZM14 20v-.01M20 14v-.01",
  refresh: "M19.5 8.5A8 8 0 1 0 20 12m0-7v4h-4",
  shield: "M12 3.5 5 6v5.5c0 4.3 2.9 7.4 7 9 4.1-1.6 7-4.7 7-9V6Zm-3 8.3 2.2 2.2 4-4.2",
  tune: "M4 8h9m5 0h2M4 16h2m5 0h9M15.5 10.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4Zm-7 8a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4Z",
  sparkle: "M12 4l1.8 5.2L19 11l-5.2 1.8L12 18l-1.8-5.2L5 11l5.2-1.8Z",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 22, label }: { name: IconName; size?: number; label?: string }) {
  return (
    <svg
      class={`icon icon-${name}`}
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="1.7"
      stroke-linecap="round"
      stroke-linejoin="round"
      {...(label ? { role: "img", "aria-label": label } : { "aria-hidden": true })}
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
