package example.tasks;

import jakarta.validation.constraints.NotBlank;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Size;

/** The body of a request that creates or replaces a task. */
record TaskDraft(
        @NotBlank @Size(max = 200) String title,
        @NotNull @Size(max = 1000) String description,
        boolean completed) {

    TaskDraft {
        title = title == null ? null : title.strip();
        description = description == null ? "" : description;
    }
}
