CREATE TABLE IF NOT EXISTS task (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     VARCHAR NOT NULL,
    title       VARCHAR NOT NULL,
    description VARCHAR NOT NULL,
    completed   BOOLEAN NOT NULL,
    created_at  VARCHAR NOT NULL,
    updated_at  VARCHAR NOT NULL
);
CREATE INDEX IF NOT EXISTS task_user_id_idx ON task (user_id);
