/** For tests of services that take Signet's tokens; begin with {@link dev.signet.verifier.junit.SignetTestIssuer}. */
package dev.signet.verifier.junit;
