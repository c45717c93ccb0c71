/**
 * The starter for Spring Boot 3.5 and 4. With Spring's properties for resource servers, it verifies
 * tokens as Signet's verifiers do, and detects logouts. Applications need no class of this package,
 * but may use {@link dev.signet.spring.SignetJwt}.
 */
package dev.signet.spring;
