/**
 * Coming in: who this page is before it enters a room. By a pass or a one-time code in the address, by what the frame
 * or the browser remembers, or by a name typed at the door. A browser's own viewer is known by her cookie; the socket
 * gets a short pass for her, kept in memory only.
 */
import { api, renewPass } from "../shared/api";
import { keepRenewal, keepToken, takeFromFragment, token } from "../shared/identity";

interface MeAnswer {
  viewer: { viewer_id: string; name: string } | null;
}

interface PassAnswer {
  token: string;
}

interface EnterAnswer extends PassAnswer {
  renewal: string;
}

let pass = "";

/** The pass to say hello with. */
export const socketPass = (): string => token() || pass;

export async function renewSocketPass(): Promise<string> {
  if (token()) return renewPass();
  pass = (await api.post<PassAnswer>("/api/viewers/token")).token;
  return pass;
}

/** True where we know already who she is; false: ask for a name. Raises `Refusal` for a spent code or no network. */
export async function known(): Promise<boolean> {
  const brought = takeFromFragment("t");
  const code = takeFromFragment("code");
  if (brought) {
    keepToken(brought);
    keepRenewal("");
  } else if (code) {
    await spend(code);
  }
  if (token()) {
    // A pass of a frame that slept too long: without a renewal she is a stranger again.
    const me = await api.get<MeAnswer>("/api/me");
    if (me.viewer) return true;
    const renewed = await renewPass().catch(() => "");
    if (renewed) return true;
    keepToken("");
  }
  const me = await api.get<MeAnswer>("/api/me");
  if (!me.viewer) return false;
  await renewSocketPass();
  return true;
}

async function spend(code: string): Promise<void> {
  try {
    const entered = await api.post<EnterAnswer>("/api/enter", { code });
    keepToken(entered.token);
    keepRenewal(entered.renewal);
  } catch (refusal) {
    // A frame that is loaded again brings the same code: the passes of its first visit still speak for it.
    if (!token()) throw refusal;
  }
}

/** Another pass for the same viewer, from now on. */
export function keepPass(other: string): void {
  if (token()) keepToken(other);
  else pass = other;
}

/** Come in under a name. */
export async function comeIn(name: string): Promise<void> {
  pass = (await api.post<PassAnswer>("/api/viewers", { name })).token;
}
