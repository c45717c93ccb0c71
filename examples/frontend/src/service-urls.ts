/** The URLs of the two services. The defaults are those of their READMEs. */
export function serviceUrls(environment: Record<string, string | undefined>) {
  return {
    signet: environment["VITE_SIGNET_URL"] ?? "http://localhost:8080",
    tasks: environment["VITE_TASKS_URL"] ?? "http://localhost:8000",
  };
}
