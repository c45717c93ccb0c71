package example.tasks;

/** A task in responses. */
record Task(
        long id,
        String userId,
        String title,
        String description,
        boolean completed,
        String createdAt,
        String updatedAt) {}
