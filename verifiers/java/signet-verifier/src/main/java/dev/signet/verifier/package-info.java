/** Checks Signet's access tokens locally, logouts included; begin with {@link dev.signet.verifier.SignetVerifier}. */
package dev.signet.verifier;
