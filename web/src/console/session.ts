/**
 * Which member of staff this frame is. A frame that came by a one-time code has passes of its own; any other speaks by
 * its session cookie and asks for a short pass only for the socket. What leaves: a pass, renewed when it is needed.
 */
import { api, Refusal, request } from "../shared/api";
import { expiresAtMs, keepToken, takeFromFragment, token } from "../shared/identity";
import { REFUSAL } from "../shared/protocol";
import { enterByCode, renewal } from "../login/enter";

interface StaffPass {
  token: string;
}

let socketPass = "";

/** Use the code of the link, if there is one. Raises `Refusal` where it is spent and this frame has no pass. */
export async function startSession(): Promise<void> {
  const code = takeFromFragment("code");
  if (!code) return;
  try {
    await enterByCode(code);
  } catch (error) {
    // A reload brings the same link again: the pass of the first visit still speaks for this frame.
    if (!token()) throw error;
  }
}

/** The pass for the socket's hello; "" lets the cookie speak until the first renewal. */
export function staffToken(): string {
  return token() || socketPass;
}

export function staffTokenExpiresAtMs(): number | null {
  const pass = staffToken();
  return pass ? expiresAtMs(pass) : null;
}

/** A fresh short pass for the socket (and, where this frame lives by passes, for its requests). */
export async function renewStaffToken(): Promise<string> {
  if (!token()) {
    socketPass = (await api.post<StaffPass>("/api/staff/token")).token;
    return socketPass;
  }
  const fresh = renewal() ? await byRenewal(renewal()) : (await api.post<StaffPass>("/api/staff/token")).token;
  keepToken(fresh);
  return fresh;
}

async function byRenewal(pass: string): Promise<string> {
  const answer = await fetch("/api/staff/token", {
    method: "POST",
    headers: { authorization: `Bearer ${pass}` },
  }).catch(() => null);
  if (!answer) throw Refusal.unreachable();
  if (!answer.ok) throw new Refusal({ number: REFUSAL.TOKEN_INVALID, word: "token_invalid", text: "", again: false });
  return ((await answer.json()) as StaffPass).token;
}

/** A request of the console: where this frame's pass ran out meanwhile, it is renewed and the request sent again. */
export async function staffRequest<T>(method: string, path: string, body?: unknown): Promise<T> {
  try {
    return await request<T>(method, path, body);
  } catch (error) {
    const ranOut = error instanceof Refusal && error.number === REFUSAL.TOKEN_EXPIRED && token();
    if (!ranOut) throw error;
    await renewStaffToken();
    return request<T>(method, path, body);
  }
}
