"""A to-do list for each user. Run it with `uvicorn app:app`. README.md describes the settings."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Path, Response
from fastapi.middleware.cors import CORSMiddleware

import auth
import errors
from errors import ApiError
from storage import Task, TaskDraft, TaskStore, store

Owner = Annotated[str, Depends(auth.owner)]
Store = Annotated[TaskStore, Depends(store)]
TaskId = Annotated[int, Path(alias="id", ge=1, lt=2**63)]


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Opens the database, so that an invalid path is an error at the start."""
    store()
    async with auth.verifier:
        yield


app = FastAPI(title="Task API", lifespan=lifespan)
errors.install(app)
auth.install(app)
app.add_middleware(
    CORSMiddleware,
    allow_origins=os.environ.get("CORS_ORIGINS", "http://localhost:3000").split(","),
    allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
    allow_headers=["Authorization", "Content-Type"],
)


@app.get("/api/{user_id}/tasks")
def list_tasks(user_id: Owner, tasks: Store) -> list[Task]:
    return tasks.list(user_id)


@app.post("/api/{user_id}/tasks", status_code=201)
def create_task(user_id: Owner, draft: TaskDraft, tasks: Store) -> Task:
    return tasks.create(user_id, draft)


@app.get("/api/{user_id}/tasks/{id}")
def read_task(user_id: Owner, task_id: TaskId, tasks: Store) -> Task:
    return _found(tasks.find(user_id, task_id))


@app.put("/api/{user_id}/tasks/{id}")
def replace_task(user_id: Owner, task_id: TaskId, draft: TaskDraft, tasks: Store) -> Task:
    return _found(tasks.replace(user_id, task_id, draft))


@app.delete("/api/{user_id}/tasks/{id}", status_code=204)
def delete_task(user_id: Owner, task_id: TaskId, tasks: Store) -> Response:
    _found(tasks.delete(user_id, task_id))
    return Response(status_code=204)


@app.patch("/api/{user_id}/tasks/{id}/complete")
def toggle_task(user_id: Owner, task_id: TaskId, tasks: Store) -> Task:
    """Marks an open task as completed, and a completed one as open."""
    return _found(tasks.toggle(user_id, task_id))


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "healthy"}


def _found(task: Task | None) -> Task:
    if task is None:
        raise ApiError(404, "NOT_FOUND", "No such task")
    return task
