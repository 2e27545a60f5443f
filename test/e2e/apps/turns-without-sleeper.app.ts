/** A later version that has lost a function. */
import { defineApp } from "../../../lib/index.js";
import { notes, tally } from "./turns.app.js";

export default defineApp({ functions: [tally], egresses: [notes] });
