package example.tasks;

import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Optional;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Repository;

/** The table of tasks. Every statement contains the owner, so no query can access another user's rows. */
@Repository
class TaskStore {

    /** A fixed length, so that times sort as text. */
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'").withZone(ZoneOffset.UTC);

    private final JdbcClient jdbc;

    TaskStore(JdbcClient jdbc) {
        this.jdbc = jdbc;
    }

    List<Task> list(String userId) {
        return jdbc.sql("SELECT * FROM task WHERE user_id = ? ORDER BY id")
                .params(userId)
                .query(Task.class)
                .list();
    }

    Optional<Task> find(String userId, long id) {
        return jdbc.sql("SELECT * FROM task WHERE user_id = ? AND id = ?")
                .params(userId, id)
                .query(Task.class)
                .optional();
    }

    Task create(String userId, TaskDraft draft) {
        String now = now();
        return jdbc.sql("SELECT * FROM FINAL TABLE (INSERT INTO task"
                        + " (user_id, title, description, completed, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?))")
                .params(userId, draft.title(), draft.description(), draft.completed(), now, now)
                .query(Task.class)
                .single();
    }

    Optional<Task> replace(String userId, long id, TaskDraft draft) {
        return jdbc.sql("SELECT * FROM FINAL TABLE (UPDATE task"
                        + " SET title = ?, description = ?, completed = ?, updated_at = ? WHERE user_id = ? AND id = ?)")
                .params(draft.title(), draft.description(), draft.completed(), now(), userId, id)
                .query(Task.class)
                .optional();
    }

    Optional<Task> toggle(String userId, long id) {
        return jdbc.sql("SELECT * FROM FINAL TABLE (UPDATE task"
                        + " SET completed = NOT completed, updated_at = ? WHERE user_id = ? AND id = ?)")
                .params(now(), userId, id)
                .query(Task.class)
                .optional();
    }

    boolean delete(String userId, long id) {
        return jdbc.sql("DELETE FROM task WHERE user_id = ? AND id = ?").params(userId, id).update() > 0;
    }

    private static String now() {
        return TIME.format(Instant.now());
    }
}
