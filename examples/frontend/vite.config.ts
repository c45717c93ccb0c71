import { defineConfig, loadEnv, type Plugin } from "vite";

import { serviceUrls } from "./src/service-urls";

export default defineConfig(({ mode }) => ({
  plugins: [contentSecurityPolicy(serviceUrls(loadEnv(mode, process.cwd())))],
  // The polyfill would be an inline script, and current browsers do not need it.
  build: { modulePreload: { polyfill: false } },
}));

/**
 * Allows only the app's own script and style, and only calls of Signet and of the task API.
 * Injected scripts do not run. The policy only applies to the built page, since the development
 * server inserts inline scripts.
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
