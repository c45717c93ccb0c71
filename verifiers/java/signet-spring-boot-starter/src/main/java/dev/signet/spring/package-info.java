/**
 * The starter for Spring Boot 3.5 and 4: with the properties of any resource server, tokens are
 * verified as by Signet's verifiers, and logouts are detected. Applications need no class of this
 * package, but may use {@link dev.signet.spring.SignetJwt}.
 */
package dev.signet.spring;
