/** The demo page: three frames in one tab, the story above them, the sum below. Wires; draws nothing itself. */
import { render } from "preact";
import "../shared/tokens.css";
import "../shared/base.css";
import "./demo.css";
import { startI18n, t } from "../shared/i18n";
import { DemoPage } from "./page";
import { Stage } from "./stage";

await startI18n("demo");
document.title = t("demo.title");
const stage = new Stage();
render(<DemoPage stage={stage} />, document.getElementById("main")!);
void stage.start();
