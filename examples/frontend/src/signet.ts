/** Signet's API. Its types are generated from the OpenAPI document (`npm run generate`). */

import createClient from "openapi-fetch";

import { serviceUrls } from "./service-urls";
import type { components, paths } from "./generated/signet";

export type AuthTokens = components["schemas"]["AuthTokens"];

export const signet = createClient<paths>({ baseUrl: serviceUrls(import.meta.env).signet });
