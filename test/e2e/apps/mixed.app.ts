/** Functions of several test applications in one. */
import { defineApp } from "../../../lib/index.js";
import { account, receipts } from "./bank.app.js";
import { journal, lines, patient, speaker } from "./desk.app.js";

export default defineApp({ functions: [account, patient, journal, speaker], egresses: [receipts, lines] });
