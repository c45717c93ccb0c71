/** For servlet containers (Jakarta Servlet 5 and newer). */
package dev.signet.verifier.servlet;
