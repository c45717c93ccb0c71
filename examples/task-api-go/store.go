package main

import (
	"errors"
	"sync"
	"time"
)

var errNotFound = errors.New("no such task")

// A draft is what a client sends to create or replace a task.
type draft struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	Completed   bool   `json:"completed"`
}

// A task is one as clients see it.
type task struct {
	ID     int64  `json:"id"`
	UserID string `json:"user_id"`
	draft
	CreatedAt moment `json:"created_at"`
	UpdatedAt moment `json:"updated_at"`
}

// A moment is written to the microsecond, so that the text sorts as the time does.
type moment time.Time

func (m moment) MarshalText() ([]byte, error) {
	return time.Time(m).UTC().AppendFormat(nil, "2006-01-02T15:04:05.000000Z"), nil
}

// A store keeps tasks in memory. Every call names the owner, so none can reach another user's.
type store struct {
	mu     sync.Mutex
	tasks  []*task // oldest first
	lastID int64
}

func (s *store) list(owner string) []task {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []task{}
	for _, one := range s.tasks {
		if one.UserID == owner {
			found = append(found, *one)
		}
	}
	return found
}

func (s *store) create(owner string, draft *draft) *task {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	now := moment(time.Now())
	created := task{s.lastID, owner, *draft, now, now}
	s.tasks = append(s.tasks, &created)
	shown := created
	return &shown
}

func (s *store) find(owner string, id int64) (*task, error) {
	return s.change(owner, id, func(*task) {})
}

func (s *store) replace(owner string, id int64, draft *draft) (*task, error) {
	return s.change(owner, id, func(found *task) {
		found.draft, found.UpdatedAt = *draft, moment(time.Now())
	})
}

func (s *store) toggle(owner string, id int64) (*task, error) {
	return s.change(owner, id, func(found *task) {
		found.Completed, found.UpdatedAt = !found.Completed, moment(time.Now())
	})
}

func (s *store) delete(owner string, id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, one := range s.tasks {
		if one.ID == id && one.UserID == owner {
			s.tasks = append(s.tasks[:i], s.tasks[i+1:]...)
			return nil
		}
	}
	return errNotFound
}

func (s *store) change(owner string, id int64, change func(*task)) (*task, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.tasks {
		if one.ID == id && one.UserID == owner {
			change(one)
			shown := *one
			return &shown, nil
		}
	}
	return nil, errNotFound
}
