/**
 * For tests of services that accept Signet's tokens; start with {@link
 * dev.signet.verifier.junit.SignetTestIssuer}.
 */
package dev.signet.verifier.junit;
