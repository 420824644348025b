/** A large file on its way, with how much of it has gone: `fetch` tells nobody. What leaves: the answer, or `Refusal`. */
import { proof, Refusal, type RefusalBody } from "../shared/api";
import { REFUSAL } from "../shared/protocol";

export interface Upload<T> {
  done: Promise<T>;
  stop(): void;
}

/** `onProgress` gets 0 to 1; 1 means that all is there and the server looks at it. */
export function upload<T>(path: string, file: Blob, onProgress: (share: number) => void): Upload<T> {
  const request = new XMLHttpRequest();
  const done = new Promise<T>((resolve, reject) => {
    request.open("PUT", path);
    for (const [name, value] of proof()) request.setRequestHeader(name, value);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.onprogress = (event) => onProgress(event.lengthComputable ? event.loaded / event.total : 0);
    request.onload = () => {
      const body = parsed(request.responseText);
      if (request.status < 300) resolve(body as T);
      else reject(new Refusal((body as RefusalBody | null) ?? unavailable()));
    };
    request.onerror = () => reject(Refusal.unreachable());
    request.onabort = () => reject(new Refusal({ number: 0, word: "stopped", text: "", again: true }));
    request.send(file);
  });
  return { done, stop: () => request.abort() };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const unavailable = (): RefusalBody => ({ number: REFUSAL.UNAVAILABLE, word: "unavailable", text: "", again: true });
