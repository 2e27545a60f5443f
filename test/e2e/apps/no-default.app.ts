/** Forgets its default export. */
import { defineApp } from "../../../lib/index.js";
import { journal } from "./desk.app.js";

export const app = defineApp({ functions: [journal] });
