/** The parts of the page that speak to one viewer alone, as one file to fetch (see `later.tsx`). */
export { ClaimAnswers } from "./ClaimAnswers";
export { OfferCard } from "./Offer";
export { PrivateTalk } from "./PrivateTalk";
