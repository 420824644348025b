/**
 * The HTTP API as a page uses it: typed answers, typed refusals, one deadline. Proof of identity is the frame's bearer
 * token where there is one, else the session cookie with the CSRF header. It does not know any endpoint's meaning.
 */
import { audience, keepToken, renewal, token } from "./identity";
import { REFUSAL } from "./protocol";

export interface RefusalBody {
  number: number;
  word: string;
  text: string;
  again: boolean;
  after_ms?: number | null;
  facts?: Record<string, string | number | null>;
}

/** A "no" of the closed list, or our own word for a line that failed. `number` 0 means: the server was not reached. */
export class Refusal extends Error {
  readonly number: number;
  readonly word: string;
  readonly again: boolean;
  readonly afterMs: number | null;
  readonly facts: Record<string, string | number | null>;

  constructor(body: RefusalBody) {
    super(body.text);
    this.name = "Refusal";
    this.number = body.number;
    this.word = body.word;
    this.again = body.again;
    this.afterMs = body.after_ms ?? null;
    this.facts = body.facts ?? {};
  }

  static unreachable(): Refusal {
    return new Refusal({ number: 0, word: "offline", text: "", again: true });
  }
}

const DEADLINE_MS = 15_000;

function cookie(name: string): string {
  const found = document.cookie.split("; ").find((part) => part.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}

function headers(hasBody: boolean, bearer: string): Headers {
  const all = new Headers({ accept: "application/json" });
  if (hasBody) all.set("content-type", "application/json");
  if (bearer) all.set("authorization", `Bearer ${bearer}`);
  const csrf = cookie("lc_csrf");
  if (csrf) all.set("x-csrf-token", csrf);
  return all;
}

/** The headers that prove who asks, for whoever sends by other means than `api`. */
export const proof = (): Headers => headers(false, token());

async function refusalOf(response: Response): Promise<Refusal> {
  try {
    return new Refusal((await response.json()) as RefusalBody);
  } catch {
    return new Refusal({ number: REFUSAL.UNAVAILABLE, word: "unavailable", text: "", again: response.status >= 500 });
  }
}

/** One request. Raises `Refusal` for every answer that is not a success and for a line that failed. A pass that ran
    out is renewed once, then the same is asked again. */
export async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  try {
    return await ask<T>(method, path, body, token());
  } catch (refusal) {
    if (!(refusal instanceof Refusal) || refusal.number !== REFUSAL.TOKEN_EXPIRED || !renewal()) throw refusal;
    return ask<T>(method, path, body, await renewPass());
  }
}

/** A new short pass for this frame's identity; "" where it has none of its own and the cookie speaks. */
export async function renewPass(): Promise<string> {
  const proof = renewal() || token();
  if (!proof) return "";
  const path = audience(proof).startsWith("staff") ? "/api/staff/token" : "/api/viewers/token";
  const answer = await ask<{ token: string }>("POST", path, {}, proof);
  keepToken(answer.token);
  return answer.token;
}

async function ask<T>(method: string, path: string, body: unknown, bearer: string): Promise<T> {
  const isMade = body instanceof FormData || body instanceof Blob; // says itself what it is
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: headers(body !== undefined && !isMade, bearer),
      credentials: "same-origin",
      signal: AbortSignal.timeout(DEADLINE_MS),
      ...(body === undefined ? {} : { body: isMade ? body : JSON.stringify(body) }),
    });
  } catch {
    throw Refusal.unreachable();
  }
  if (!response.ok) throw await refusalOf(response);
  if (response.status === 204) return undefined as T;
  // A picture (a QR code) that only its owner may see comes as text: an <img> cannot carry a frame's pass.
  const isText = !(response.headers.get("content-type") ?? "").includes("json");
  return (isText ? await response.text() : await response.json()) as T;
}

export const api = {
  get: <T>(path: string): Promise<T> => request<T>("GET", path),
  post: <T>(path: string, body: unknown = {}): Promise<T> => request<T>("POST", path, body),
  put: <T>(path: string, body: unknown = {}): Promise<T> => request<T>("PUT", path, body),
  patch: <T>(path: string, body: unknown = {}): Promise<T> => request<T>("PATCH", path, body),
  delete: <T>(path: string): Promise<T> => request<T>("DELETE", path),
};
