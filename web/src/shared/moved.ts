/**
 * A page may fetch its picture from one server alone, the one its show had when the page was loaded. Where the host
 * chooses another meanwhile, the browser refuses it; then only loading the page again helps. What leaves: whether it is so.
 */
import { useEffect, useState } from "preact/hooks";

export function useMoved(url: string): boolean {
  const [moved, setMoved] = useState(false);
  useEffect(() => {
    setMoved(false);
    const origin = url.startsWith("http") ? new URL(url).origin : "";
    if (!origin) return;
    const refused = (event: SecurityPolicyViolationEvent): void => {
      if (event.blockedURI.startsWith(origin)) setMoved(true);
    };
    document.addEventListener("securitypolicyviolation", refused);
    return () => document.removeEventListener("securitypolicyviolation", refused);
  }, [url]);
  return moved;
}
