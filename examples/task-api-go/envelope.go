package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// An invalidError describes an invalid body or path. Its text names the rule, and never repeats input.
type invalidError string

func (e invalidError) Error() string {
	return string(e)
}

type requestID struct{}

// numberRequests gives each request an id, which users can quote.
func numberRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var number [16]byte
		_, _ = rand.Read(number[:]) // it never returns an error
		id := hex.EncodeToString(number[:])
		w.Header().Set("X-Request-Id", id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestID{}, id)))
	})
}

// allowOrigins allows calls of front ends with these origins (CORS). It must precede the verification
// of tokens, since a preflight request has none.
func allowOrigins(origins []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		w.Header().Add("Vary", "Origin")
		if slices.Contains(origins, origin) {
			w.Header().Set("Access-Control-Allow-Origin", origin)
		}
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// write writes the result of a route as the response.
func write(w http.ResponseWriter, r *http.Request, status int, body any, err error) {
	var invalid invalidError
	switch {
	case errors.As(err, &invalid):
		writeError(w, r, http.StatusBadRequest, "VALIDATION_ERROR", "The request is not valid", string(invalid))
	case errors.Is(err, errNotFound):
		writeError(w, r, http.StatusNotFound, "NOT_FOUND", "No such task", "")
	case err != nil:
		slog.ErrorContext(r.Context(), "a route failed", "error", err)
		writeError(w, r, http.StatusInternalServerError, "INTERNAL_ERROR", "Something went wrong", "")
	case status == http.StatusNoContent:
		w.WriteHeader(status)
	default:
		writeJSON(w, r, status, body)
	}
}

// writeError writes an error response. It is the only function that knows this format. Empty details
// become null.
func writeError(w http.ResponseWriter, r *http.Request, status int, code, message, details string) {
	var optionalDetails *string
	if details != "" {
		optionalDetails = &details
	}
	writeJSON(w, r, status, map[string]any{
		"error": map[string]any{"code": code, "message": message, "details": optionalDetails},
		"meta": map[string]any{
			"timestamp":  time.Now().UTC().Format(time.RFC3339),
			"request_id": r.Context().Value(requestID{}),
		},
	})
}

func writeJSON(w http.ResponseWriter, r *http.Request, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		slog.InfoContext(r.Context(), "a response could not be written", "error", err)
	}
}
