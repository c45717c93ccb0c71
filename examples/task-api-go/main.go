// A to-do list for each user. README.md describes the settings.
package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		slog.Error("cannot serve", "error", err)
		os.Exit(1)
	}
}

// run serves until SIGINT or SIGTERM. Invalid settings are errors at the start.
func run() error {
	verifier, err := newVerifier()
	if err != nil {
		return err
	}
	origins := strings.Split(setting("CORS_ORIGINS", "http://localhost:3000"), ",")
	server := &http.Server{
		Addr:              setting("LISTEN", "localhost:8000"),
		Handler:           numberRequests(allowOrigins(origins, routes(verifier, &store{}))),
		ReadHeaderTimeout: 10 * time.Second,
	}
	stopped, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		<-stopped.Done()
		_ = server.Shutdown(context.Background())
	}()
	slog.Info("listening on " + server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-drained // waits for requests in flight
	return nil
}

func setting(name, defaultValue string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return defaultValue
}
