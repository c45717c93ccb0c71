/**
 * Checks Signet's access tokens locally, and detects logouts. Start with {@link
 * dev.signet.verifier.SignetVerifier}.
 */
package dev.signet.verifier;
