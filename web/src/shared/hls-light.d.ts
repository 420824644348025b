/* `hls.js/light` ships no types of its own; they are those of the whole library. */
declare module "hls.js/light" {
  export { default } from "hls.js";
}
