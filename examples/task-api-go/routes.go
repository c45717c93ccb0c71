package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"signet.dev/verifier"
)

const maxBodyBytes = 64 * 1024

func routes(v *verifier.Verifier, tasks *store) http.Handler {
	mux := http.NewServeMux()
	route := func(pattern string, handle func(owner string, r *http.Request) (int, any, error)) {
		mux.Handle(pattern, ownerOnly(v, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
			status, body, err := handle(r.PathValue("user_id"), r)
			write(w, r, status, body, err)
		}))
	}
	route("GET /api/{user_id}/tasks", func(owner string, _ *http.Request) (int, any, error) {
		return http.StatusOK, tasks.list(owner), nil
	})
	route("POST /api/{user_id}/tasks", func(owner string, r *http.Request) (int, any, error) {
		draft, err := readDraft(r.Body)
		if err != nil {
			return 0, nil, err
		}
		return http.StatusCreated, tasks.create(owner, draft), nil
	})
	taskRoute := func(pattern string, status int, find func(owner string, id int64, r *http.Request) (*task, error)) {
		route(pattern, func(owner string, r *http.Request) (int, any, error) {
			id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
			if err != nil || id < 1 {
				return 0, nil, invalidError("id: must be a number from 1 on")
			}
			found, err := find(owner, id, r)
			return status, found, err
		})
	}
	taskRoute("GET /api/{user_id}/tasks/{id}", http.StatusOK,
		func(owner string, id int64, _ *http.Request) (*task, error) { return tasks.find(owner, id) })
	taskRoute("PUT /api/{user_id}/tasks/{id}", http.StatusOK,
		func(owner string, id int64, r *http.Request) (*task, error) {
			draft, err := readDraft(r.Body)
			if err != nil {
				return nil, err
			}
			return tasks.replace(owner, id, draft)
		})
	taskRoute("DELETE /api/{user_id}/tasks/{id}", http.StatusNoContent,
		func(owner string, id int64, _ *http.Request) (*task, error) { return nil, tasks.delete(owner, id) })
	taskRoute("PATCH /api/{user_id}/tasks/{id}/complete", http.StatusOK,
		func(owner string, id int64, _ *http.Request) (*task, error) { return tasks.toggle(owner, id) })
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {
		write(w, r, http.StatusOK, map[string]string{"status": "healthy"}, nil)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, r, http.StatusNotFound, "NOT_FOUND", "Not Found", "")
	})
	return mux
}

// readDraft parses and validates the body of a request that creates or replaces a task.
func readDraft(body io.Reader) (*draft, error) {
	var read draft
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil {
		return nil, invalidError("body: must be a task")
	}
	if err := decoder.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return nil, invalidError("body: must be a task and nothing else")
	}
	read.Title = strings.TrimSpace(read.Title)
	if length := utf8.RuneCountInString(read.Title); length < 1 || length > 200 {
		return nil, invalidError("title: must have 1 to 200 characters")
	}
	if utf8.RuneCountInString(read.Description) > 1000 {
		return nil, invalidError("description: must have at most 1000 characters")
	}
	return &read, nil
}
