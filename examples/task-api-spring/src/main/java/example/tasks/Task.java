package example.tasks;

/** A task as clients see it. */
record Task(
        long id,
        String userId,
        String title,
        String description,
        boolean completed,
        String createdAt,
        String updatedAt) {}
