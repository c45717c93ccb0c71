package main

import (
	"errors"
	"sync"
	"time"
)

var errNotFound = errors.New("no such task")

// A draft is the body of a request that creates or replaces a task.
type draft struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	Completed   bool   `json:"completed"`
}

// A task is the representation in responses.
type task struct {
	ID     int64  `json:"id"`
	UserID string `json:"user_id"`
	draft
	CreatedAt moment `json:"created_at"`
	UpdatedAt moment `json:"updated_at"`
}

// A moment is written with microseconds, so that times sort as text.
type moment time.Time

func (m moment) MarshalText() ([]byte, error) {
	return time.Time(m).UTC().AppendFormat(nil, "2006-01-02T15:04:05.000000Z"), nil
}

// A store stores tasks in memory. Every method takes the owner, so no call can access another user's
// tasks.
type store struct {
	mu     sync.Mutex
	tasks  []*task // oldest first
	lastID int64
}

func (s *store) list(owner string) []task {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []task{}
	for _, stored := range s.tasks {
		if stored.UserID == owner {
			found = append(found, *stored)
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
	copied := created
	return &copied
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
	for i, stored := range s.tasks {
		if stored.ID == id && stored.UserID == owner {
			s.tasks = append(s.tasks[:i], s.tasks[i+1:]...)
			return nil
		}
	}
	return errNotFound
}

func (s *store) change(owner string, id int64, change func(*task)) (*task, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stored := range s.tasks {
		if stored.ID == id && stored.UserID == owner {
			change(stored)
			copied := *stored
			return &copied, nil
		}
	}
	return nil, errNotFound
}
