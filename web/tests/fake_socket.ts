/** A WebSocket whose other end is in the test's hands. */
import { decode, encode } from "@msgpack/msgpack";
import type { FromViewer, ToViewer } from "../src/shared/protocol";

export class FakeSocket {
  static readonly OPEN = 1;
  static all: FakeSocket[] = [];
  readyState = 0;
  binaryType = "";
  sent: FromViewer[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: ArrayBuffer }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {
    FakeSocket.all.push(this);
  }
  send(data: Uint8Array): void {
    this.sent.push(decode(data) as FromViewer);
  }
  close(): void {
    this.readyState = 3;
  }
  open(): void {
    this.readyState = FakeSocket.OPEN;
    this.onopen?.();
  }
  says(message: ToViewer): void {
    this.onmessage?.({ data: new Uint8Array(encode(message)).buffer });
  }
  ends(code: number): void {
    this.readyState = 3;
    this.onclose?.({ code, reason: "" });
  }
}
