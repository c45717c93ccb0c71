package example.tasks;

import jakarta.validation.Valid;
import jakarta.validation.constraints.Min;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PatchMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;

/** The routes. The user id of the path is that of the caller, as {@link Security} ensures. */
@RestController
class TaskController {

    private static final String TASKS = "/api/{user_id}/tasks";

    private final TaskStore tasks;

    TaskController(TaskStore tasks) {
        this.tasks = tasks;
    }

    @GetMapping(TASKS)
    List<Task> list(@PathVariable("user_id") String userId) {
        return tasks.list(userId);
    }

    @PostMapping(TASKS)
    @ResponseStatus(HttpStatus.CREATED)
    Task create(@PathVariable("user_id") String userId, @Valid @RequestBody TaskDraft draft) {
        return tasks.create(userId, draft);
    }

    @GetMapping(TASKS + "/{id}")
    Task read(@PathVariable("user_id") String userId, @PathVariable @Min(1) long id) {
        return found(tasks.find(userId, id));
    }

    @PutMapping(TASKS + "/{id}")
    Task replace(
            @PathVariable("user_id") String userId,
            @PathVariable @Min(1) long id,
            @Valid @RequestBody TaskDraft draft) {
        return found(tasks.replace(userId, id, draft));
    }

    @DeleteMapping(TASKS + "/{id}")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void delete(@PathVariable("user_id") String userId, @PathVariable @Min(1) long id) {
        if (!tasks.delete(userId, id)) {
            throw notFound();
        }
    }

    /** Marks an open task as completed, and a completed one as open. */
    @PatchMapping(TASKS + "/{id}/complete")
    Task toggle(@PathVariable("user_id") String userId, @PathVariable @Min(1) long id) {
        return found(tasks.toggle(userId, id));
    }

    @GetMapping("/health")
    Map<String, String> health() {
        return Map.of("status", "healthy");
    }

    private static Task found(Optional<Task> task) {
        return task.orElseThrow(TaskController::notFound);
    }

    private static ResponseStatusException notFound() {
        return new ResponseStatusException(HttpStatus.NOT_FOUND, "No such task");
    }
}
