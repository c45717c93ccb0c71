/**
 * For Spring Boot 3.5 and 4: with the properties of any resource server, tokens are checked as Signet's
 * verifiers do, logouts included. Nothing here has to be named in an application but, where it is of
 * use, {@link dev.signet.spring.SignetJwt}.
 */
package dev.signet.spring;
