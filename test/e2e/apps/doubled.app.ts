/** Defines a function twice. */
import { defineApp } from "../../../lib/index.js";
import { journal } from "./desk.app.js";

export default defineApp({ functions: [journal, journal] });
