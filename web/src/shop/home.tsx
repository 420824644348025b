/** The first page: what is on air or comes next, the programme by corner, and all products. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { refusalText, t } from "../shared/i18n";
import { Refusal } from "../shared/api";
import { Hero } from "./hero";
import { Programme } from "./programme";
import { Products } from "./products";
import { loadShows, type ShowList } from "./server";

const LOOK_AGAIN_MS = 30_000;

export function HomePage(): JSX.Element {
  const [shows, setShows] = useState<ShowList | null>(null);
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    const load = (): void => {
      loadShows().then(
        (list) => {
          setShows(list);
          setTrouble("");
        },
        (error: unknown) => setTrouble(error instanceof Refusal ? refusalText(error) : t("refusal.0")),
      );
    };
    load();
    const timer = setInterval(load, LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <>
      <Hero shows={shows} trouble={trouble} />
      {shows && <Programme shows={shows} />}
      <Products />
    </>
  );
}
