import { defineConfig, loadEnv, type Plugin } from "vite";

import { addresses } from "./src/addresses";

export default defineConfig(({ mode }) => ({
  plugins: [contentSecurityPolicy(addresses(loadEnv(mode, process.cwd())))],
  // The polyfill is a script inside the page, and all browsers of today do without it.
  build: { modulePreload: { polyfill: false } },
}));

/**
 * Only this app's own script and style run, and only Signet and the task API are called: what an
 * injected script could do with a token is small, and it does not get in. The development server
 * puts scripts into the page, so it goes without.
 */
function contentSecurityPolicy({ signet, tasks }: { signet: string; tasks: string }): Plugin {
  const content = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src data:",
    `connect-src ${signet} ${tasks}`,
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
  ].join("; ");
  return {
    name: "content-security-policy",
    apply: "build",
    transformIndexHtml: () => [
      {
        tag: "meta",
        attrs: { "http-equiv": "Content-Security-Policy", content },
        injectTo: "head-prepend",
      },
    ],
  };
}
